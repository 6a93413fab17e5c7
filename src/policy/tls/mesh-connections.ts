import type { Endpoint } from '#model/endpoint.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service } from '#model/service.ts';
import type { ServiceView } from '#model/service-index.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { isCalledByAddress } from '#policy/tls/called-by-address.ts';
import { clientTls } from '#policy/tls/client-tls.ts';
import { type ConnectionTls, connectionTls } from '#policy/tls/connection-tls.ts';
import { CredentialReader } from '#policy/tls/credential.ts';
import { ClientRules, type RuleClient, ruleScope } from '#policy/tls/destination-rules.ts';
import type { ModeFinder } from '#policy/tls/mode-finder.ts';

/** A workload that calls, by a proxy of its own. */
export interface Client extends RuleClient {
  readonly name: string;
  /** Whether its calls are redirected to its proxy; in explicit mode they are not. */
  readonly isRedirected: boolean;
}

/** How clients connect to endpoints of a service port; the same holds for each pair of them. */
export interface MeshConnection extends ServerEnd {
  readonly clients: readonly Client[];
  readonly service: Service;
  readonly port: number;
  /** '' = the service as a whole. */
  readonly subset: string;
}

/** Endpoints to which the same connection is made. */
interface ServerEnd {
  readonly servers: readonly Workload[];
  /** The port of those workloads that policies mean. */
  readonly workloadPort: number;
  readonly connection: ConnectionTls;
  /** Why clients do not call at all, where their rule cannot be met. */
  readonly refusal: string | undefined;
}

/** Clients that see the same services, go by the same rules and call in the same way. */
interface ClientClass {
  readonly first: Client;
  readonly clients: readonly Client[];
  readonly view: ServiceView;
}

const PLAIN = { mode: 'plain' } as const;
const WHOLE = { name: '', labels: {} } as const;

/**
 * Every connection that may be made in the mesh: which TLS its client uses, which the server takes,
 * and which objects say so. Servers outside of the mesh are left out. Clients that go by the same
 * rules are asked about once. One after the other, for there may be very many.
 */
export function* meshConnections(
  mesh: MeshSnapshot,
  clients: readonly Client[],
  modes: ModeFinder,
): Generator<MeshConnection> {
  const finder = new ConnectionFinder(mesh, modes);
  for (const one of classesOf(mesh, clients)) yield* finder.connectionsOf(one);
}

class ConnectionFinder {
  readonly #mesh: MeshSnapshot;
  readonly #modes: ModeFinder;
  readonly #credentials = new CredentialReader();

  constructor(mesh: MeshSnapshot, modes: ModeFinder) {
    this.#mesh = mesh;
    this.#modes = modes;
  }

  *connectionsOf({ first: client, clients, view }: ClientClass): Generator<MeshConnection> {
    const { destinationRules, settings } = this.#mesh;
    const rules = new ClientRules(destinationRules, client, settings);
    for (const service of view.services.filter(({ external }) => !external)) {
      const rule = rules.ruleFor(service);
      for (const { port, protocol } of service.ports) {
        const byAddress = client.isRedirected && isCalledByAddress(service, protocol);
        const behind = this.#mesh.endpoints.of(service).byPort.get(port) ?? [];
        for (const { name: subset, labels } of [WHOLE, ...(rule?.subsets ?? [])]) {
          const called = { service, port, subset, rule, clientNamespace: client.namespace };
          const endpoints = behind.filter(({ workload }) => labelsMatch(labels, workload.labels));
          const { tls: wanted, from } = clientTls(called, this.#mesh, this.#credentials);
          const isForNone = byAddress && !endpoints.every((one) => this.#takesMutual(one));
          const tls = wanted.mode === 'auto' && isForNone ? PLAIN : wanted;
          for (const end of this.#endsOf({ tls, from }, endpoints))
            yield { clients, service, port, subset, ...end };
        }
      }
    }
  }

  #takesMutual({ workload, workloadPort }: Endpoint): boolean {
    return workload.mtlsCapable && this.#modes.at(workload, workloadPort).mode !== 'DISABLE';
  }

  /** Endpoints that differ in nothing that counts are taken together. */
  #endsOf(
    { tls, from }: ReturnType<typeof clientTls>,
    endpoints: readonly Endpoint[],
  ): readonly ServerEnd[] {
    const refusal = tls.mode === 'refuse' ? tls.reason : undefined;
    const groups = new Map<string, { readonly end: ServerEnd; readonly servers: Workload[] }>();
    for (const { workload, workloadPort } of endpoints) {
      const { mode, source } = this.#modes.at(workload, workloadPort);
      const hasProxy = workload.mtlsCapable;
      const place = source && [source.kind, source.metadata.namespace, source.metadata.name];
      const key = JSON.stringify([workloadPort, hasProxy, hasProxy && mode, hasProxy && place]);
      const group = groups.get(key);
      if (group) {
        group.servers.push(workload);
        continue;
      }
      const servers = [workload];
      const server = { hasProxy, mode, rule: source };
      const connection = connectionTls({ client: { tls, rule: from }, server });
      groups.set(key, { servers, end: { servers, workloadPort, connection, refusal } });
    }
    return [...groups.values()].map(({ end }) => end);
  }
}

function classesOf(mesh: MeshSnapshot, clients: readonly Client[]): readonly ClientClass[] {
  const classes = new Map<ServiceView, Map<string, ClientClass & { clients: Client[] }>>();
  for (const client of clients) {
    const view = mesh.services.viewOf(client.namespace);
    const scopes = classes.get(view) ?? new Map();
    classes.set(view, scopes);
    const key = `${client.isRedirected} ${ruleScope(mesh.destinationRules, client)}`;
    const known = scopes.get(key);
    if (known) known.clients.push(client);
    else scopes.set(key, { first: client, clients: [client], view });
  }
  return [...classes.values()].flatMap((scopes) => [...scopes.values()]);
}
