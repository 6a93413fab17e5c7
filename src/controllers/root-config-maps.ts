import { type ConfigMap, configMap } from '#api/kinds/config-map.ts';
import { namespace as namespaceKind } from '#api/kinds/namespace.ts';
import type { Clock } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { type ObjectEvent, ObjectWatch } from '#controllers/object-watch.ts';
import { WorkQueue } from '#controllers/work-queue.ts';
import type { Store } from '#store/store.ts';

export interface RootConfigMapsDeps {
  readonly store: Store;
  /** PEM: what everybody in the mesh verifies against, now. */
  readonly trustBundle: () => string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** As istiod names them. */
const NAME = 'istio-ca-root-cert';
const KEY = 'root-cert.pem';
const LABELS = { 'istio.io/config': 'true' } as const;

const CONCURRENCY = 8;
const RETRY = { delayMsMin: 500, delayMsMax: 5 * 60_000 };

/**
 * Keeps the roots of the mesh in a ConfigMap `istio-ca-root-cert` of every namespace, where agents
 * of Istio look for them. The name is reserved for this: what stands there is put right whoever
 * wrote it, as istiod does; other values and labels of the object stay.
 */
export class RootConfigMaps implements Component {
  readonly name = 'root-config-maps';
  readonly #deps: RootConfigMapsDeps;
  readonly #queue: WorkQueue;
  readonly #watch: ObjectWatch;

  constructor(deps: RootConfigMapsDeps) {
    this.#deps = deps;
    this.#queue = new WorkQueue(
      {
        concurrency: CONCURRENCY,
        backoff: RETRY,
        work: (namespace) => this.#reconcile(namespace),
        onFailure: (namespace, error) =>
          deps.log.error('the root certificate of a namespace is not right', { namespace, error }),
      },
      deps,
    );
    const kinds = [namespaceKind.id, configMap.id];
    this.#watch = new ObjectWatch({ kinds, onEvent: (event) => this.#note(event) }, deps);
  }

  async start(): Promise<void> {
    await this.#watch.start();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    await this.#queue.close();
  }

  /** To be called when the roots of the mesh changed. */
  async bundleChanged(): Promise<void> {
    const { items } = await this.#deps.store.list(namespaceKind.id);
    for (const { metadata } of items) this.#queue.add(metadata.name);
  }

  #note({ kind, object: { metadata } }: ObjectEvent): void {
    if (kind === namespaceKind.id) this.#queue.add(metadata.name);
    else if (metadata.name === NAME) this.#queue.add(metadata.namespace ?? '');
  }

  async #reconcile(namespace: string): Promise<void> {
    const { store, trustBundle, log } = this.#deps;
    const within = { kind: namespaceKind.id, namespace: '', name: namespace };
    const holder = await store.get(within);
    if (!holder || holder.metadata.deletionTimestamp !== undefined) return;
    const key = { kind: configMap.id, namespace, name: NAME };
    const present = (await store.get(key)) as ConfigMap | undefined;
    const rootsPem = trustBundle();
    if (present?.data?.[KEY] === rootsPem) return;
    // An immutable object can only be replaced.
    if (present?.immutable) await store.delete(key);
    if (present && !present.immutable) {
      await store.update({ ...present, data: { ...present.data, [KEY]: rootsPem } } as ConfigMap);
    } else {
      const made: ConfigMap = {
        apiVersion: configMap.apiVersion,
        kind: configMap.kind,
        metadata: { name: NAME, namespace, labels: LABELS },
        data: { [KEY]: rootsPem },
      };
      await store.create(made, { within });
    }
    log.debug('the root certificate of a namespace was written', { namespace });
  }
}
