import type { KindId } from '#api/object.ts';
import { AccessIndex } from '#apiserver/rbac/access-index.ts';
import { withAggregatedRules } from '#apiserver/rbac/aggregate.ts';
import { EscalationGuard } from '#apiserver/rbac/escalation.ts';
import { RbacAuthorizer } from '#apiserver/rbac/rbac-authorizer.ts';
import { type AccessDefaults, reconcileDefaults } from '#apiserver/rbac/reconcile.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { Store, StoreEvent, StoreWatch } from '#store/store.ts';

export interface RbacDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

const CLUSTER_ROLES = 'clusterroles.rbac.authorization.k8s.io';
const KINDS: readonly KindId[] = [
  'roles.rbac.authorization.k8s.io',
  CLUSTER_ROLES,
  'rolebindings.rbac.authorization.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
];
const RETRY_MS = { delayMsMin: 50, delayMsMax: 30_000 };
/** Rounds of collecting rules until roles that collect from each other have them all. */
const ROUNDS_MAX = 20;

/**
 * Role-based access control over the roles and bindings of a store: a change counts from the moment
 * its writer hears of it. Keeps the rules of aggregating ClusterRoles, and at the start mends the
 * default roles.
 */
export class Rbac implements Component {
  readonly name = 'rbac';
  readonly authorizer: RbacAuthorizer;
  readonly guard: EscalationGuard;
  readonly #defaults: AccessDefaults;
  readonly #deps: RbacDeps;
  readonly #index = new AccessIndex();
  readonly #backoff: Backoff;
  /** Whether the index is told of every change. */
  #isCurrent = false;
  #isClosed = false;
  #watch: StoreWatch | undefined;
  #onChange: () => void = () => {};
  #retry: Timer | undefined;
  /** Whether rules must be collected (again), and the run that does it. */
  #isDue = false;
  #running: Promise<void> | undefined;

  constructor(defaults: AccessDefaults, deps: RbacDeps) {
    this.#defaults = defaults;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY_MS, deps.random);
    this.authorizer = new RbacAuthorizer(this.#index, () => this.#isCurrent);
    this.guard = new EscalationGuard(this.#index, this.authorizer);
  }

  /** Resolves when the default roles are there and their rules collected. */
  async start(): Promise<void> {
    await this.#read();
    await reconcileDefaults(this.#deps.store, this.#defaults);
    await this.#collectAll();
  }

  /** `listener` is called after each change that may give or take rights. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    this.#retry?.cancel();
    await this.#running;
  }

  /** Reads everything anew, and watches on from there. */
  async #read(): Promise<void> {
    const { store } = this.#deps;
    // From here on every change is told, some of them twice, which does no harm.
    const from = await store.currentVersion();
    const lists = await Promise.all(
      KINDS.map(async (kind) => ({ kind, ...(await store.list(kind)) })),
    );
    if (this.#isClosed) return;
    this.#index.clear();
    for (const { kind, items } of lists) {
      for (const object of items) this.#index.put(kind, object);
    }
    const watch = store.watch(
      { kinds: KINDS, from },
      { onEvent: (event) => this.#note(event), onError: (error) => this.#readAgain(error) },
    );
    this.#watch = watch;
    // A store tells what came since `from` before this goes on.
    await Promise.resolve();
    if (this.#watch !== watch) return;
    this.#isCurrent = true;
    this.#onChange();
    this.#collectSoon();
  }

  #note({ type, kind, object, previous }: StoreEvent): void {
    if (type === 'DELETED') this.#index.remove(kind, previous ?? object);
    else this.#index.put(kind, object, previous);
    this.#onChange();
    if (kind === CLUSTER_ROLES) this.#collectSoon();
  }

  /** Until it is read, nobody but system:masters may do anything: a right may have been taken. */
  #readAgain(error: unknown): void {
    this.#isCurrent = false;
    this.#watch = undefined;
    if (this.#isClosed) return;
    this.#deps.log.warn('roles and bindings must be read again', { error });
    this.#retry = this.#deps.clock.after(this.#backoff.nextDelayMs(), () => {
      this.#read().then(
        () => this.#backoff.reset(),
        (cause: unknown) => this.#readAgain(cause),
      );
    });
  }

  #collectSoon(): void {
    this.#isDue = true;
    this.#running ??= this.#collectAll().finally(() => {
      this.#running = undefined;
      if (this.#isDue && !this.#isClosed) this.#collectSoon();
    });
  }

  async #collectAll(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX && !this.#isClosed; round += 1) {
      this.#isDue = false;
      if (!(await this.#collectOnce())) return;
    }
  }

  /** @returns whether a role changed */
  async #collectOnce(): Promise<boolean> {
    let changed = false;
    for (const role of this.#index.clusterRoles) {
      const next = withAggregatedRules(role, this.#index.clusterRoles);
      if (!next || this.#isClosed) continue;
      try {
        await this.#deps.store.update(next);
        changed = true;
      } catch (error) {
        // Who changed or deleted it brings us here again.
        if (isBulwarkError(error, 'API_CONFLICT') || isBulwarkError(error, 'API_NOT_FOUND')) {
          continue;
        }
        this.#deps.log.warn('rules of a role could not be collected', {
          role: next.metadata.name,
          error,
        });
      }
    }
    return changed;
  }
}
