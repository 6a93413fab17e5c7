import { nearName } from '#api/near-name.ts';
import type { ExtensionProvider } from '#model/extension-provider.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { ServiceView } from '#model/service-index.ts';

/** Whether a provider can be asked, and over which port of which service. */
export interface ProviderState {
  readonly name: string;
  readonly provider: ExtensionProvider | undefined;
  /** Why it cannot be asked; undefined when it can. */
  readonly problem: string | undefined;
  /** What to do about it. */
  readonly remedy: string | undefined;
}

type State = Omit<ProviderState, 'name'>;

/** Answers that are remembered. */
const STATES_MAX = 1000;

/**
 * Finds the providers that policies of action CUSTOM name. The same answer is the same object, also
 * after other services changed.
 */
export class Providers {
  readonly #byName: ReadonlyMap<string, ExtensionProvider>;
  readonly #states = new Map<string, ProviderState>();

  constructor(providers: readonly ExtensionProvider[]) {
    this.#byName = new Map(providers.map((provider) => [provider.name, provider]));
  }

  /** What is so of a provider for workloads that see those services. */
  stateOf(name: string, view: ServiceView): ProviderState {
    const state = this.#find(name, view);
    const key = `${name} ${state.problem ?? ''}`;
    const known = this.#states.get(key);
    if (known) return known;
    const made = { name, ...state };
    // Policies may name any number of providers that are not there: the oldest makes room.
    const [oldest] = this.#states.keys();
    if (oldest !== undefined && this.#states.size >= STATES_MAX) this.#states.delete(oldest);
    this.#states.set(key, made);
    return made;
  }

  /** What is wrong with a name that no provider has; undefined when one has it. */
  unknown(name: string): { readonly problem: string; readonly remedy: string } | undefined {
    if (this.#byName.has(name)) return undefined;
    const near = nearName(name, [...this.#byName.keys()]);
    return {
      problem: `the mesh configuration has no extension provider ${JSON.stringify(name)}`,
      remedy: near
        ? `did you mean ${JSON.stringify(near)}?`
        : 'add it to extensionProviders of the mesh configuration',
    };
  }

  #find(name: string, { byHost }: ServiceView): State {
    const provider = this.#byName.get(name);
    if (!provider) {
      return { provider, problem: undefined, remedy: undefined, ...this.unknown(name) };
    }
    const { host, namespace, port } = provider;
    const service = byHost.get(host);
    const broken = (problem: string): State => ({
      provider,
      problem: `the extension provider ${name} cannot be asked: ${problem}`,
      remedy: 'correct its service and port in the mesh configuration, or create the service',
    });
    if (!service || (namespace !== undefined && service.namespace !== namespace))
      return broken(`its workloads see no service ${host}`);
    const found = service.ports.find((one) => one.port === port);
    if (!found || PROTOCOLS[found.protocol].handling === 'none')
      return broken(`the service ${host} has no port ${port}`);
    if (provider.check.over === 'grpc' && !PROTOCOLS[found.protocol].http2)
      return broken(`port ${port} of ${host} is not declared as gRPC (name it grpc-…)`);
    return { provider, problem: undefined, remedy: undefined };
  }
}
