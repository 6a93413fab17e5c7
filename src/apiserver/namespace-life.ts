import type { ApiObject } from '#api/object.ts';
import {
  deleteContent,
  namespaceKey,
  type RemainingContent,
  remainingConditions,
} from '#apiserver/namespace-content.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { Store, StoreEvent, StoreWatch } from '#store/store.ts';

export interface NamespaceLifeDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

interface Namespace extends ApiObject {
  readonly status?: { readonly phase?: string; readonly conditions?: readonly object[] };
}

/** The label that every namespace carries its own name in. */
export const NAME_LABEL = 'kubernetes.io/metadata.name';
const RETRY_MS = { delayMsMin: 200, delayMsMax: 30_000 };

/**
 * A new namespace as it is stored: its name as a label, the finalizer that its content is, and its
 * phase.
 */
export function newNamespace(object: ApiObject): ApiObject {
  const { metadata } = object;
  const labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
  const spec = { finalizers: ['kubernetes'], ...(object as { spec?: object }).spec };
  return {
    ...object,
    metadata: { ...metadata, labels },
    spec,
    status: { phase: 'Active' },
  } as ApiObject;
}

/**
 * Looks after namespaces: those of a new cluster are there from the first start, each has its
 * `default` service account, and one that is deleted goes once everything in it has gone. Nothing
 * can come into it meanwhile: the store refuses objects within a namespace that is being deleted,
 * at the moment of the write.
 */
export class NamespaceLife {
  readonly #initial: readonly string[];
  readonly #deps: NamespaceLifeDeps;
  readonly #backoff: Backoff;
  /** Namespaces that need a look, and the run that looks at them. */
  readonly #due = new Set<string>();
  /** Namespaces that wait for another try. */
  readonly #failed = new Set<string>();
  #running: Promise<void> | undefined;
  #watch: StoreWatch | undefined;
  #retry: Timer | undefined;
  #closed = false;

  constructor(options: { readonly initialNamespaces: readonly string[] }, deps: NamespaceLifeDeps) {
    this.#initial = options.initialNamespaces;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY_MS, deps.random);
  }

  /** Resolves when the initial namespaces and the accounts of all namespaces are there. */
  async start(): Promise<void> {
    for (const name of this.#initial) await this.#ensureNamespace(name);
    await this.#lookAtAll();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.close();
    this.#retry?.cancel();
    await this.#running;
  }

  /** Makes the `default` service account of a namespace, unless it is there. */
  async ensureAccount(namespace: string): Promise<void> {
    const { store } = this.#deps;
    const key = { kind: 'serviceaccounts', namespace, name: 'default' };
    if (await store.get(key)) return;
    const metadata = { name: 'default', namespace };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
    try {
      await store.create(account, { within: namespaceKey(namespace) });
    } catch (error) {
      if (!isBulwarkError(error, 'API_ALREADY_EXISTS') && !isGone(error)) throw error;
    }
  }

  async #ensureNamespace(name: string): Promise<void> {
    const { store } = this.#deps;
    if (await store.get(namespaceKey(name))) return;
    await store.create(newNamespace({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  }

  /** Lists, watches on from there, and looks at every namespace once. */
  async #lookAtAll(): Promise<void> {
    const { items, resourceVersion } = await this.#deps.store.list('namespaces');
    if (this.#closed) return;
    this.#watch = this.#deps.store.watch(
      { from: resourceVersion },
      { onEvent: (event) => this.#note(event), onError: () => this.#lookAgain() },
    );
    for (const { metadata } of items) this.#due.add(metadata.name);
    await this.#run();
  }

  #note({ type, kind, object }: StoreEvent): void {
    const { name, namespace } = object.metadata;
    if (kind === 'namespaces') {
      if (type !== 'DELETED') this.#schedule(name);
      return;
    }
    // What goes may be what a namespace waits for, or the account that each must have.
    if (type === 'DELETED' && namespace !== undefined) this.#schedule(namespace);
  }

  #schedule(namespace: string): void {
    this.#due.add(namespace);
    void this.#run();
  }

  #run(): Promise<void> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
      if (this.#due.size > 0 && !this.#closed) void this.#run();
    });
    return this.#running;
  }

  async #work(): Promise<void> {
    for (const name of this.#due) {
      if (this.#closed) return;
      this.#due.delete(name);
      try {
        await this.#lookAt(name);
        this.#backoff.reset();
      } catch (error) {
        if (this.#closed) return;
        this.#deps.log.warn('a namespace could not be looked after', { namespace: name, error });
        this.#retryLater(name);
      }
    }
  }

  #retryLater(name: string): void {
    this.#failed.add(name);
    const delayMs = this.#backoff.nextDelayMs();
    this.#retry?.cancel();
    this.#retry = this.#deps.clock.after(delayMs, () => {
      for (const failed of this.#failed) this.#schedule(failed);
      this.#failed.clear();
    });
  }

  #lookAgain(): void {
    this.#lookAtAll().catch((error: unknown) => {
      if (this.#closed) return;
      this.#deps.log.warn('namespaces could not be listed', { error });
      const delayMs = this.#backoff.nextDelayMs();
      this.#retry = this.#deps.clock.after(delayMs, () => this.#lookAgain());
    });
  }

  async #lookAt(name: string): Promise<void> {
    const namespace = await this.#deps.store.get(namespaceKey(name));
    if (!namespace) return;
    if (namespace.metadata.deletionTimestamp === undefined) return this.ensureAccount(name);
    await this.#finish(namespace);
  }

  /** One round of a deletion; what is held by finalizers brings us here again when it goes. */
  async #finish(namespace: Namespace): Promise<void> {
    const { store, clock } = this.#deps;
    const { name, uid = '', finalizers = [] } = namespace.metadata;
    const remaining = await deleteContent(store, name, clock.now());
    if (remaining.objects.size > 0) return this.#report(namespace, remaining);
    if (finalizers.length > 0) return;
    try {
      await store.delete(namespaceKey(name), { uid });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #report(namespace: Namespace, remaining: RemainingContent): Promise<void> {
    const conditions = remainingConditions(remaining, this.#deps.clock.now());
    const types = new Set(conditions.map((condition) => (condition as { type: string }).type));
    const present = namespace.status?.conditions ?? [];
    if (sameMessages(present, conditions)) return;
    const others = present.filter((condition) => !types.has((condition as { type: string }).type));
    const status = { phase: 'Terminating', conditions: [...others, ...conditions] };
    const { resourceVersion: _, ...metadata } = namespace.metadata;
    await this.#deps.store.updateStatus({ ...namespace, metadata, status } as ApiObject);
  }
}

/** Whether an error says that the namespace has gone, or goes. */
function isGone(error: unknown): boolean {
  return (
    isBulwarkError(error, 'API_NOT_FOUND') ||
    isBulwarkError(error, 'API_FORBIDDEN') ||
    isBulwarkError(error, 'API_CONFLICT')
  );
}

/** Whether the findings are told already, so that telling them again would only make noise. */
function sameMessages(present: readonly object[], wanted: readonly object[]): boolean {
  const messages = new Set(present.map((condition) => (condition as { message?: string }).message));
  return wanted.every((condition) => messages.has((condition as { message?: string }).message));
}
