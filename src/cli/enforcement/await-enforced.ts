import type { ApiObject } from '#api/object.ts';
import type { Clock } from '#base/clock.ts';
import type { ObjectPaths } from '#cli/apply-object.ts';
import { type Standing, standingOf } from '#cli/enforcement/standing.ts';
import type { KubeClient, WatchEvent } from '#kubeclient/kube-client.ts';

/** An object that was applied. */
export interface AppliedObject {
  readonly paths: ObjectPaths;
  /** As the server has it. */
  readonly object: ApiObject;
  /** When the server answered, by the monotonic clock; undefined when nothing was changed. */
  readonly changedMs: number | undefined;
}

export interface AwaitOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Called with what is new about an object; `tookMs` since it was changed. */
  readonly report: (one: AppliedObject, standing: Standing, tookMs: number | undefined) => void;
}

type State = { readonly one: AppliedObject; standing: Standing };

/**
 * Waits until all connected proxies enforce the objects that they are for, without asking again and
 * again. A refusal ends the wait for its object: the same configuration is refused again.
 * @returns the objects that are not enforced, with why
 * @throws BulwarkError when the server cannot be watched
 */
export async function awaitEnforced(
  client: KubeClient,
  applied: readonly AppliedObject[],
  options: AwaitOptions,
): Promise<readonly State[]> {
  const collections = Map.groupBy(applied, ({ paths }) => paths.collection);
  const end = new AbortController();
  const timer = options.clock.after(options.timeoutMs, () => end.abort());
  const signal = AbortSignal.any([end.signal, options.signal]);
  try {
    const waits = [...collections].map(([path, objects]) =>
      new CollectionWait(client, objects, options).run(path, signal),
    );
    return (await Promise.all(waits)).flat();
  } finally {
    end.abort();
    timer.cancel();
  }
}

/** The objects of one collection, which is watched as a whole. */
class CollectionWait {
  readonly #client: KubeClient;
  readonly #options: AwaitOptions;
  readonly #states: ReadonlyMap<string, State>;
  readonly #done = new AbortController();

  constructor(client: KubeClient, objects: readonly AppliedObject[], options: AwaitOptions) {
    this.#client = client;
    this.#options = options;
    const states = objects.map((one) => {
      const standing: Standing = { state: 'untold', message: '' };
      return [one.object.metadata.name, { one, standing }] as const;
    });
    this.#states = new Map(states);
  }

  async run(path: string, outer: AbortSignal): Promise<readonly State[]> {
    const signal = AbortSignal.any([outer, this.#done.signal]);
    for (const { one } of this.#states.values()) this.#take(one.object);
    let from = this.#oldestVersion();
    while (!signal.aborted) {
      const query = new URLSearchParams({ resourceVersion: from });
      await this.#client.watch(`${path}?${query}`, (event) => this.#event(event), signal);
      if (signal.aborted) break;
      // The watch was ended by the server: what happened meanwhile shows in the objects.
      for (const { one } of this.#states.values()) {
        const answer = await this.#client.expect({ method: 'GET', path: one.paths.object });
        this.#take(answer as ApiObject);
      }
      const now = (await this.#client.expect({ method: 'GET', path: `${path}?limit=1` })) as List;
      from = now.metadata.resourceVersion;
    }
    return [...this.#states.values()].filter(({ standing: { state } }) => !isFine(state));
  }

  #event({ type, object }: WatchEvent): void {
    if (type === 'ADDED' || type === 'MODIFIED') this.#take(object as ApiObject);
  }

  #take(object: ApiObject): void {
    const state = this.#states.get(object.metadata.name);
    if (!state) return;
    const { one, standing: before } = state;
    const standing = standingOf(object);
    state.standing = standing;
    const isNews = standing.state !== before.state || standing.message !== before.message;
    if (isNews) {
      const { changedMs } = one;
      const tookMs =
        changedMs === undefined ? undefined : this.#options.clock.monotonicMs() - changedMs;
      this.#options.report(one, standing, tookMs);
    }
    if ([...this.#states.values()].every((each) => isOver(each.standing.state))) this.#done.abort();
  }

  #oldestVersion(): string {
    const versions = [...this.#states.values()].map(({ one }) =>
      Number(one.object.metadata.resourceVersion),
    );
    return String(Math.min(...versions));
  }
}

interface List {
  readonly metadata: { readonly resourceVersion: string };
}

function isFine(state: Standing['state']): boolean {
  return state === 'enforced' || state === 'nobody';
}

function isOver(state: Standing['state']): boolean {
  return isFine(state) || state === 'refused';
}
