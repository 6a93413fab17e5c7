import type { JwksSourceView, JwksView } from '#admin/contract.ts';
import type { ActionOutcome } from '#apiserver/dispatch.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { AddressRules } from '#jwks/address-rules.ts';
import { ExtraRoots } from '#jwks/extra-roots.ts';
import { fetchKeys } from '#jwks/fetch-keys.ts';
import { KeyFolder } from '#jwks/key-folder.ts';
import { KeyResolver } from '#jwks/key-resolver.ts';
import type { KeyStatus } from '#jwks/key-state.ts';
import type { KeySource } from '#model/key-sets.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { keySourcesOf } from '#policy/authn/jwt.ts';

export interface IssuerKeysOptions {
  readonly settings: Settings;
  /** The folder in which keys are kept over a restart. */
  readonly folder: string;
}

export interface IssuerKeysDeps {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** How long to wait for an issuer when no rule says it, and at most. */
const FETCH_MS = { default: 5000, max: 30_000 } as const;
/**
 * A rule without keys refuses valid tokens. So proxies hear of a rule for a new issuer when its
 * keys are there, but not later than this; and so seldom that it is no way to hold up others.
 */
const HOLD_MS = { max: 1000, between: 10_000 } as const;

/** The keys of the issuers that the policies of a mesh name. */
export class IssuerKeys implements Component {
  readonly name = 'issuer-keys';
  readonly #deps: IssuerKeysDeps;
  readonly #resolver: KeyResolver;
  #sources: ReadonlyMap<KeySource, WantedSource> = new Map();
  /** Those that `#sources` is of. */
  #policies: readonly object[] = [];
  #held: Timer | undefined;
  #heldAt = Number.NEGATIVE_INFINITY;
  #announce: () => void = () => {};

  /** @throws BulwarkError SETTINGS_INVALID when a block of addresses is none */
  constructor({ settings, folder }: IssuerKeysOptions, deps: IssuerKeysDeps) {
    const log = deps.log.child({ component: 'jwks' });
    this.#deps = deps;
    const rules = new AddressRules({
      blocked: settings.jwksBlockedAddresses,
      allowed: settings.jwksAllowedAddresses,
    });
    const roots = new ExtraRoots(settings.jwksRoots);
    this.#resolver = new KeyResolver(
      { refreshMs: settings.jwksRefreshInterval },
      {
        ...deps,
        log,
        folder: new KeyFolder(folder, { log }),
        fetch: (source) =>
          fetchKeys(source, { timeoutMs: this.#timeoutMs(source) }, { rules, roots }),
        onChange: (keySets) => {
          deps.mesh.model.useKeySets(keySets);
          if (this.#held === undefined) this.#announce();
        },
      },
    );
  }

  start(): Promise<void> {
    return this.#resolver.start();
  }

  async close(): Promise<void> {
    this.#held?.cancel();
    await this.#resolver.close();
  }

  /** `announce` tells proxies that there is something new. */
  onChange(announce: () => void): void {
    this.#announce = announce;
  }

  /** To be called when the mesh changed: announces it, with the keys that it needs. */
  meshChanged(): void {
    const mesh = this.#deps.mesh.model.snapshot();
    const policies = [
      mesh.requestAuthentications,
      mesh.authenticationPolicies,
      mesh.meshPolicies,
    ] as const;
    if (policies.some((index, at) => index !== this.#policies[at])) {
      this.#policies = policies;
      this.#sources = sourcesOf(mesh);
      this.#resolver.want([...this.#sources.keys()]);
    }
    if (this.#held !== undefined) return;
    const now = this.#deps.clock.monotonicMs();
    if (!this.#resolver.isWaiting || now - this.#heldAt < HOLD_MS.between) {
      this.#announce();
      return;
    }
    this.#heldAt = now;
    this.#held = this.#deps.clock.after(HOLD_MS.max, () => this.#release());
    void this.#resolver.tried().then(() => this.#release());
  }

  /** The state of every source, for administrators. */
  view(): JwksView {
    return { sources: this.#resolver.statuses().map((status) => this.#viewOf(status)) };
  }

  /** Fetches everything now. */
  async refresh(): Promise<ActionOutcome> {
    await this.#resolver.refresh();
    return { code: 200, body: this.view() };
  }

  #timeoutMs(source: KeySource): number {
    return Math.min(this.#sources.get(source)?.timeoutMs ?? FETCH_MS.default, FETCH_MS.max);
  }

  #release(): void {
    if (this.#held === undefined) return;
    this.#held.cancel();
    this.#held = undefined;
    this.#announce();
  }

  #viewOf({ source, count, fetchedAt, nextAt, error }: KeyStatus): JwksSourceView {
    const from = source.startsWith('issuer ') ? 'issuer' : 'url';
    return {
      from,
      place: source.slice(source.indexOf(' ') + 1),
      state: count === 0 ? 'NO_KEYS' : error === undefined ? 'READY' : 'STALE',
      keys: count,
      fetchedAt: instant(fetchedAt),
      nextAt: instant(nextAt),
      error,
      usedBy: this.#sources.get(source)?.usedBy ?? [],
    };
  }
}

/** What the policies of a mesh say about a place of keys. */
interface WantedSource {
  /** The objects that name it. */
  readonly usedBy: string[];
  /** The longest of what they say; undefined when none says it. */
  timeoutMs: number | undefined;
}

function sourcesOf(mesh: MeshSnapshot): ReadonlyMap<KeySource, WantedSource> {
  const sources = new Map<KeySource, WantedSource>();
  const { requestAuthentications, authenticationPolicies, meshPolicies } = mesh;
  const old = [...authenticationPolicies.all(), ...meshPolicies.all()];
  for (const policy of [...requestAuthentications.all(), ...old]) {
    const { namespace, name } = policy.metadata;
    for (const [source, timeoutMs] of keySourcesOf(policy)) {
      const wanted = sources.get(source) ?? { usedBy: [], timeoutMs };
      sources.set(source, wanted);
      wanted.usedBy.push(`${policy.kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`);
      if (timeoutMs !== undefined) wanted.timeoutMs = Math.max(wanted.timeoutMs ?? 0, timeoutMs);
    }
  }
  return sources;
}

function instant(atMs: number | undefined): string | undefined {
  return atMs === undefined ? undefined : new Date(atMs).toISOString();
}
