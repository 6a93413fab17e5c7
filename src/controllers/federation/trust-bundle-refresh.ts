import { type TrustBundle, type TrustBundleStatus, trustBundle } from '#api/kinds/trust-bundle.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { BulwarkError, describeError, isBulwarkError } from '#base/errors.ts';
import type { DialRules } from '#base/fetch/guarded-get.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import { UnderWay } from '#base/under-way.ts';
import { type FetchedBundle, fetchBundle } from '#controllers/federation/fetch-bundle.ts';
import {
  declareFederationMetrics,
  type FederationMetrics,
} from '#controllers/federation/metrics.ts';
import { ObjectWatch } from '#controllers/object-watch.ts';
import { readTrustBundle } from '#model/trust-bundles.ts';
import { parseCertificate } from '#pki/certificate.ts';
import type { Store } from '#store/store.ts';

export interface TrustBundleRefreshOptions {
  readonly rules: DialRules;
  /** The trust domains of the mesh, which nobody else speaks for. */
  readonly own: readonly string[];
}

export interface TrustBundleRefreshDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What is under way for one object. */
interface Refresh {
  readonly backoff: Backoff;
  /** What it says, to notice a change. */
  readonly spec: string;
  timer: Timer | undefined;
}

const RETRY = { delayMsMin: 1000, delayMsMax: 60_000 };
/** When the bundle does not say how often it is to be fetched. */
const REFRESH_MS_DEFAULT = 300_000;
const REFRESH_MS_MIN = 1000;
const REFRESH_MS_MAX = 3_600_000;
const ERROR_LENGTH_MAX = 500;

/**
 * Keeps the bundles of other trust domains fresh: fetches each from its endpoint as often as it
 * asks for, and writes what came into the status of its TrustBundle. The last good one stays,
 * whatever an endpoint answers later.
 */
export class TrustBundleRefresh implements Component {
  readonly name = 'refresh of trust bundles';
  readonly #options: TrustBundleRefreshOptions;
  readonly #deps: TrustBundleRefreshDeps;
  readonly #watch: ObjectWatch;
  readonly #refreshes = new Map<string, Refresh>();
  /** When each bundle was fetched last, by the name of its object; wall-clock milliseconds. */
  readonly #fetchedAt = new Map<string, number>();
  readonly #running = new UnderWay();
  readonly #metrics: FederationMetrics;
  readonly #closing = new AbortController();

  constructor(options: TrustBundleRefreshOptions, deps: TrustBundleRefreshDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#metrics = declareFederationMetrics(deps.metrics, () =>
      Math.min(...this.#fetchedAt.values()),
    );
    this.#watch = new ObjectWatch(
      {
        kinds: [trustBundle.id],
        onEvent: ({ type, object }) =>
          type === 'DELETED'
            ? this.#forget(object.metadata.name)
            : this.#seen(object as TrustBundle),
      },
      deps,
    );
  }

  /** @throws BulwarkError when the store cannot be listed */
  start(): Promise<void> {
    return this.#watch.start();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watch.close();
    for (const name of [...this.#refreshes.keys()]) this.#forget(name);
    await this.#running.over();
  }

  #seen({ metadata, spec }: TrustBundle): void {
    const said = `${metadata.uid} ${JSON.stringify(spec)}`;
    const { name } = metadata;
    if (this.#closing.signal.aborted || this.#refreshes.get(name)?.spec === said) return;
    this.#forget(name);
    const backoff = new Backoff(RETRY, this.#deps.random);
    const refresh: Refresh = { backoff, spec: said, timer: undefined };
    this.#refreshes.set(name, refresh);
    this.#later(name, refresh, 0);
  }

  #forget(name: string): void {
    this.#refreshes.get(name)?.timer?.cancel();
    this.#fetchedAt.delete(name);
    this.#refreshes.delete(name);
  }

  #later(name: string, refresh: Refresh, delayMs: number): void {
    refresh.timer = this.#deps.clock.after(delayMs, () => {
      this.#running.add(this.#look(name, refresh));
    });
  }

  async #look(name: string, refresh: Refresh): Promise<void> {
    const isCurrent = (): boolean => this.#refreshes.get(name) === refresh;
    let nextMs: number | undefined;
    try {
      const key = { kind: trustBundle.id, namespace: '', name };
      const object = (await this.#deps.store.get(key)) as TrustBundle | undefined;
      if (!object || !isCurrent()) return;
      nextMs = await this.#refresh(object, refresh, isCurrent);
    } catch (error) {
      nextMs = refresh.backoff.nextDelayMs();
      this.#deps.log.warn('the state of a trust bundle could not be kept', { name, error });
    }
    if (nextMs !== undefined && isCurrent()) this.#later(name, refresh, nextMs);
  }

  /** Gives after how many milliseconds to look again; undefined when there is nothing to fetch. */
  async #refresh(
    object: TrustBundle,
    { backoff }: Refresh,
    isCurrent: () => boolean,
  ): Promise<number | undefined> {
    const { spec, status = {} } = object;
    const { trustDomain = '', endpoint } = spec;
    if (this.#options.own.includes(trustDomain)) {
      const error = `${trustDomain} is a trust domain of this mesh: this object changes nothing`;
      await this.#write(object, { error });
      return undefined;
    }
    if (!endpoint) {
      await this.#write(object, {});
      return undefined;
    }
    // What came from another endpoint says nothing of this one.
    const before = status.url === endpoint.url ? status : {};
    const { name } = object.metadata;
    this.#fetchedAt.set(name, Date.parse(before.lastFetched ?? '') || 0);
    try {
      const fetched = await fetchBundle(object, this.#options.rules, {
        ...this.#deps,
        signal: this.#closing.signal,
      });
      if (!isCurrent()) return undefined;
      checkSequence(fetched, before);
      await this.#write(object, this.#fetchedStatus(object, fetched));
      this.#fetchedAt.set(name, this.#deps.clock.now());
      backoff.reset();
      this.#metrics.taken.add();
      return refreshMs(fetched);
    } catch (error) {
      const isForeseen = isBulwarkError(error) && !error.code.startsWith('STORE_');
      if (!isForeseen || !isCurrent()) throw error;
      this.#metrics.failed.add();
      this.#deps.log.warn('a trust bundle was not fetched; the last good one stays', {
        trustDomain,
        error,
      });
      const told = describeError(error).slice(0, ERROR_LENGTH_MAX);
      if (before.error !== told) await this.#write(object, { ...before, error: told });
      return backoff.nextDelayMs();
    }
  }

  #fetchedStatus({ spec }: TrustBundle, { text, bundle }: FetchedBundle): TrustBundleStatus {
    return {
      url: spec.endpoint?.url ?? '',
      bundle: text,
      lastFetched: new Date(this.#deps.clock.now()).toISOString(),
      ...(bundle.sequence !== undefined && { sequence: bundle.sequence }),
    };
  }

  /** Writes the status, with what is told of the bundle that is in use by it. */
  async #write(object: TrustBundle, status: TrustBundleStatus): Promise<void> {
    const used = readTrustBundle({ ...object, status })?.bundle;
    const ends = (used?.roots ?? []).map((der) => parseCertificate(der).notAfterAt);
    const next = {
      ...status,
      ...(used && {
        roots: used.roots.length,
        keys: used.jwtAuthorities.length,
        ...(ends.length > 0 && { notAfter: new Date(Math.max(...ends)).toISOString() }),
      }),
    };
    try {
      // Whatever became of the object meanwhile: the status says what it is about.
      const { resourceVersion: _, ...metadata } = object.metadata;
      await this.#deps.store.updateStatus({ ...object, metadata, status: next } as TrustBundle);
    } catch (error) {
      // Gone, or another of the same name: the watch brings us back here.
      if (!isBulwarkError(error, 'API_CONFLICT') && !isBulwarkError(error, 'API_NOT_FOUND'))
        throw error;
    }
  }
}

/** An older edition is a mistake or a trick; the same one may be fetched again. */
function checkSequence({ bundle }: FetchedBundle, { sequence }: TrustBundleStatus): void {
  if (sequence === undefined || bundle.sequence === undefined) return;
  if (bundle.sequence >= sequence) return;
  const message = `it is edition ${bundle.sequence}, older than ${sequence} that is in use`;
  throw new BulwarkError('SPIFFE_BUNDLE_INVALID', message);
}

function refreshMs({ bundle }: FetchedBundle): number {
  const hintMs =
    bundle.refreshHintSeconds === undefined ? undefined : bundle.refreshHintSeconds * 1000;
  return Math.min(REFRESH_MS_MAX, Math.max(REFRESH_MS_MIN, hintMs ?? REFRESH_MS_DEFAULT));
}
