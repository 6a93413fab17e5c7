import { isDeepStrictEqual } from 'node:util';
import { namespace as namespaceKind } from '#api/kinds/namespace.ts';
import { type WorkloadEntry, workloadEntry } from '#api/kinds/workload-entry.ts';
import { type WorkloadGroup, workloadGroup } from '#api/kinds/workload-group.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import { type RegisteringProxy, registrationName, registrationOf } from '#model/registration.ts';
import type { Store } from '#store/store.ts';

/** Times of a registration. */
export interface WorkloadRegistrationOptions {
  /**
   * How long an entry stays after its proxy went, milliseconds: reconnecting must not take
   * endpoints away.
   */
  readonly graceMs: number;
  /**
   * The same after a start of the control plane, milliseconds. Longer than the longest pause of an
   * Envoy between two attempts to connect (30 s).
   */
  readonly restartGraceMs: number;
}

export interface WorkloadRegistrationDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Marks an entry as one of ours, so that those left over by a crash are found. */
const MANAGED = 'bulwark.mesh/registered-by';
const MANAGED_VALUE = 'workload-registration';

/**
 * Writes a WorkloadEntry for each connected proxy that names a WorkloadGroup, as Istio's
 * auto-registration does, and takes it away some time after the proxy went. Who may register is the
 * group's to say: only proxies that run under its service account, which their certificate proves.
 */
export class WorkloadRegistration implements Component {
  readonly name = 'workload-registration';
  readonly #options: WorkloadRegistrationOptions;
  readonly #deps: WorkloadRegistrationDeps;
  /** Connections by entry: a proxy may be connected twice while it reconnects. */
  readonly #connections = new Map<string, number>();
  readonly #leaving = new Map<string, Timer>();

  constructor(options: WorkloadRegistrationOptions, deps: WorkloadRegistrationDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Finds the entries of an earlier run; those whose proxies do not come back go. */
  async start(): Promise<void> {
    const { items } = await this.#deps.store.list(workloadEntry.id);
    for (const { metadata } of items) {
      if (metadata.annotations?.[MANAGED] !== MANAGED_VALUE) continue;
      const place = { namespace: metadata.namespace ?? '', name: metadata.name };
      this.#leaveLater(place, this.#options.restartGraceMs);
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#leaving.values()) timer.cancel();
    this.#leaving.clear();
  }

  /**
   * To be called before a proxy gets its first configuration. A refusal is logged and does not end
   * the connection: the proxy can call others, and is no endpoint of any service.
   */
  async connected(proxy: RegisteringProxy): Promise<void> {
    if (proxy.group === undefined) return;
    const { store, log } = this.#deps;
    const { namespace } = proxy;
    const groupKey = { kind: workloadGroup.id, namespace, name: proxy.group };
    const group = (await store.get(groupKey)) as WorkloadGroup | undefined;
    const fields = { workload: proxy.workloadName, namespace, group: proxy.group };
    if (!group) return log.warn('workload not registered: there is no such group', fields);
    const { entry, refused } = registrationOf(group, proxy);
    if (!entry) return log.warn('workload not registered', { ...fields, reason: refused.message });
    const place = { namespace, name: entry.metadata.name };
    const key = keyOf(place);
    this.#connections.set(key, (this.#connections.get(key) ?? 0) + 1);
    this.#leaving.get(key)?.cancel();
    this.#leaving.delete(key);
    try {
      await this.#write(withMark(entry));
      log.info('workload registered', { ...fields, entry: entry.metadata.name });
    } catch (error) {
      // Its calls to others need no entry: a store that cannot write must not take them away.
      if (!isBulwarkError(error)) throw error;
      log.error('workload not registered', { ...fields, error });
    }
  }

  /** To be called when a proxy's connection ended. */
  disconnected(proxy: RegisteringProxy): void {
    if (proxy.group === undefined) return;
    for (const [key, place] of this.#placesOf(proxy)) {
      const left = (this.#connections.get(key) ?? 0) - 1;
      if (left > 0) this.#connections.set(key, left);
      else {
        this.#connections.delete(key);
        this.#leaveLater(place, this.#options.graceMs);
      }
    }
  }

  *#placesOf({ namespace, group, workloadName }: RegisteringProxy): Iterable<[string, Place]> {
    const name = group === undefined ? '' : registrationName(group, workloadName);
    const place = { namespace, name };
    if (this.#connections.has(keyOf(place))) yield [keyOf(place), place];
  }

  async #write(entry: WorkloadEntry): Promise<void> {
    const { store } = this.#deps;
    const { namespace = '', name } = entry.metadata;
    const present = await store.get({ kind: workloadEntry.id, namespace, name });
    if (!present) {
      const within = { kind: namespaceKind.id, namespace: '', name: namespace };
      await store.create(entry, { within }).catch((error: unknown) => {
        if (!isBulwarkError(error, 'API_ALREADY_EXISTS')) throw error;
        return store.update(entry);
      });
      return;
    }
    const { metadata, spec } = present as WorkloadEntry;
    const same =
      isDeepStrictEqual(spec, entry.spec) &&
      isDeepStrictEqual(metadata.labels ?? {}, entry.metadata.labels ?? {}) &&
      isDeepStrictEqual(metadata.annotations ?? {}, entry.metadata.annotations ?? {});
    if (!same) await store.update(entry);
  }

  #leaveLater(place: Place, graceMs: number): void {
    const key = keyOf(place);
    this.#leaving.get(key)?.cancel();
    const timer = this.#deps.clock.after(graceMs, () => void this.#leave(place));
    this.#leaving.set(key, timer);
  }

  async #leave(place: Place): Promise<void> {
    const { store, log } = this.#deps;
    this.#leaving.delete(keyOf(place));
    const key = { kind: workloadEntry.id, ...place };
    try {
      const present = await store.get(key);
      if (present?.metadata.annotations?.[MANAGED] !== MANAGED_VALUE) return;
      if (this.#connections.has(keyOf(place))) return;
      await store.delete(key);
      log.info('workload gone', { ...place });
    } catch (error) {
      if (isBulwarkError(error, 'API_NOT_FOUND')) return;
      log.error('the entry of a workload that went could not be deleted', { ...place, error });
    }
  }
}

interface Place {
  readonly namespace: string;
  readonly name: string;
}

function keyOf({ namespace, name }: Place): string {
  return `${namespace}/${name}`;
}

function withMark(entry: WorkloadEntry): WorkloadEntry {
  const annotations = { ...entry.metadata.annotations, [MANAGED]: MANAGED_VALUE };
  return { ...entry, metadata: { ...entry.metadata, annotations } };
}
