import { Backoff } from '#base/backoff.ts';
import { delay } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import { isListed, type OtherList } from '#ca/lists/other-lists.ts';
import { declareUpstreamMetrics } from '#ca/metrics.ts';
import { subjectOf } from '#ca/plugged-in/ca-problem.ts';
import { type CaSet, parseCaSet } from '#ca/plugged-in/ca-set.ts';
import type { MeshRoots, SignerStanding } from '#ca/roots/mesh-roots.ts';
import type { Signer } from '#ca/signer.ts';
import { encodeSiteReport, reportNothing, type SiteReport } from '#ca/sites/site-report.ts';
import {
  filesOf,
  isUnsound,
  readGrant,
  type Standing,
  type UpstreamGrant,
  writeGrant,
} from '#ca/upstream/upstream-files.ts';
import {
  askRoots,
  type GrantDeps,
  type GrantOptions,
  obtainGrant,
  type SoundGrant,
  standingOf,
} from '#ca/upstream/upstream-grant.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import type { PemText } from '#pki/pem.ts';

export interface UpstreamAuthorityOptions extends GrantOptions {
  /** Where the grant is kept. */
  readonly path: string;
}

export interface UpstreamAuthorityDeps extends GrantDeps {
  /** Roots that the server above named over a verified connection, to verify it against later. */
  readonly learnRoots: (rootsPem: string) => void;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** An intermediate is renewed after this part of the life that was left when it came. */
const RENEWAL_PART = 0.5;
const JITTER_PART = 0.05;
/** The roots are asked for this often in the life of an intermediate, within the bounds below. */
const LOOKS_PER_LIFE = 20;
const LOOK_MS_MIN = 1000;
const LOOK_MS_MAX = 30_000;
/** Authorities of before that are remembered; each is good for one life more at the most. */
const STANDINGS_MAX = 16;
const RETRY_DELAY = { delayMsMin: 500, delayMsMax: 60_000 };

/**
 * The authority of a server below another one (ADR 14): a key of its own, certified by the server
 * above for a while, and renewed with a new key each time. While the server above is away this one
 * goes on with what it has until that expires; then nothing is signed. Roots that change above are
 * those of this mesh within seconds.
 */
export class UpstreamAuthority implements Component, MeshRoots {
  readonly name = 'upstream-authority';
  readonly #options: UpstreamAuthorityOptions;
  readonly #deps: UpstreamAuthorityDeps;
  readonly #backoff: Backoff;
  readonly #count: (result: 'ok' | 'failed') => void;
  readonly #listeners: (() => Promise<void>)[] = [];
  readonly #arrivals: ((signer: Signer) => Promise<void>)[] = [];
  readonly #closing = new AbortController();
  #grant: UpstreamGrant;
  #set: CaSet;
  #renewAt = 0;
  /** The serial of an intermediate that was found revoked. */
  #revoked = '';
  /** Ends the pause before the next look. */
  #wake = new AbortController();
  #report: (standing: SignerStanding) => SiteReport = reportNothing;
  #running: Promise<void> = Promise.resolve();

  private constructor(
    options: UpstreamAuthorityOptions,
    deps: UpstreamAuthorityDeps,
    { grant, set }: SoundGrant,
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#grant = grant;
    this.#set = set;
    this.#backoff = new Backoff(RETRY_DELAY, deps.random);
    this.#count = declareUpstreamMetrics(deps.metrics);
    this.#take(grant, set);
  }

  /**
   * Takes the grant that was kept, or else asks for one.
   * @throws BulwarkError CA_UPSTREAM_FAILED when there is none and none is to be had,
   *   FILES_TOO_OPEN
   */
  static async open(
    options: UpstreamAuthorityOptions,
    deps: UpstreamAuthorityDeps,
  ): Promise<UpstreamAuthority> {
    const kept = await readGrant(options.path);
    const at = deps.clock.now();
    try {
      if (kept) {
        const set = parseCaSet(filesOf(kept), { at, trustDomain: options.trustDomain });
        return new UpstreamAuthority(options, deps, { grant: kept, set });
      }
    } catch (error) {
      if (!isUnsound(error)) throw error;
      deps.log.warn('the intermediate that was kept is not used', { error });
    }
    const obtained = await obtainGrant(options, deps);
    await writeGrant(options.path, obtained.grant);
    return new UpstreamAuthority(options, deps, obtained);
  }

  /** The root above the signer, then the others that the server above trusts. */
  get roots(): MeshRoots['roots'] {
    return this.#set.roots.map((certificate, index) => ({
      state: index === 0 ? 'active' : 'prepared',
      certificate,
    }));
  }

  get signer(): Signer {
    return this.#set.signer;
  }

  get bundlePem(): PemText {
    return this.#set.bundlePem;
  }

  onChange(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  onArrival(listener: (signer: Signer) => Promise<void>): void {
    this.#arrivals.push(listener);
  }

  /** @throws BulwarkError CA_ROTATION_REFUSED always: the server above says which root is used */
  async step(): Promise<void> {
    const message = `the root of this mesh is that of the server at ${this.#options.address}`;
    throw new BulwarkError('CA_ROTATION_REFUSED', message, {
      remedy: 'rotate it there: this server follows',
    });
  }

  reportWith(report: (standing: SignerStanding) => SiteReport): void {
    this.#report = report;
  }

  /**
   * An intermediate that the server above has revoked is replaced at once, if that gives another:
   * peers refuse whatever it signs.
   * @param lists those of the others
   */
  lookAt(lists: readonly OtherList[]): void {
    const { issuers } = this.#set.signer;
    const [{ serial }] = issuers;
    if (this.#revoked === serial || !isListed(issuers, lists)) return;
    this.#revoked = serial;
    this.#deps.log.error('the intermediate of this server is revoked', { serial });
    this.#renewAt = 0;
    this.#wake.abort();
  }

  async start(): Promise<void> {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    this.#deps.client.close();
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let pauseMs = this.#lookMs();
      this.#wake = new AbortController();
      try {
        await this.#refresh();
        this.#backoff.reset();
        this.#count('ok');
      } catch (error) {
        this.#count('failed');
        pauseMs = Math.min(this.#backoff.nextDelayMs(), RETRY_DELAY.delayMsMax);
        const [issuer] = this.#set.signer.issuers;
        log.error('the upstream authority did not help; what it gave before stays in use', {
          upstream: this.#options.address,
          notAfter: new Date(issuer.notAfterAt).toISOString(),
          retryMs: Math.round(pauseMs),
          error,
        });
      }
      const ended = AbortSignal.any([signal, this.#wake.signal]);
      if (!ended.aborted) await delay(clock, pauseMs, ended);
    }
  }

  /** Often enough that a new root is known long before anything is signed below it. */
  #lookMs(): number {
    const lifeMs = this.#set.signer.issuers[0].notAfterAt - this.#grant.obtainedAt;
    return Math.min(LOOK_MS_MAX, Math.max(LOOK_MS_MIN, lifeMs / LOOKS_PER_LIFE));
  }

  async #refresh(): Promise<void> {
    const { clock } = this.#deps;
    const roots = await askRoots(this.#deps, this.#site());
    const isOther = roots !== this.#grant.roots;
    if (clock.now() < this.#renewAt && !isOther) return;
    const grown = { ...this.#grant, roots };
    const before = [standingOf(this.#set), ...(this.#grant.before ?? [])].slice(0, STANDINGS_MAX);
    // A root that is new above signs before the old one goes: then this server moves below it.
    const set = clock.now() < this.#renewAt ? this.#soundBelowFirst(grown) : undefined;
    const next = set ? { grant: grown, set } : await this.#obtain(before);
    if (!set) await this.#announce(next.set.signer);
    await writeGrant(this.#options.path, next.grant);
    this.#take(next.grant, next.set);
    this.#tellLog(set ? 'the roots above have changed' : 'a new intermediate is used');
    await this.#tellListeners();
  }

  async #obtain(before: readonly Standing[]): Promise<SoundGrant> {
    const { grant, set } = await obtainGrant(this.#options, this.#deps);
    return { grant: { ...grant, before }, set };
  }

  /** Whoever does not know the new authority yet refuses what it signs, while there are lists. */
  async #announce(signer: Signer): Promise<void> {
    for (const listener of this.#arrivals) {
      await listener(signer).catch((error: unknown) =>
        this.#deps.log.error('the new intermediate could not be announced', { error }),
      );
    }
  }

  /** What the server above is told of this mesh. */
  #site(): string {
    const { authority, root } = standingOf(this.#set);
    const known = new Map((this.#grant.before ?? []).map((one) => [one.authority, one.root]));
    known.set(authority, root);
    const rootAbove = (keyId: string) => known.get(keyId);
    return encodeSiteReport(this.#report({ signerKeyId: authority, rootAbove }));
  }

  /** The set, if it holds and its root is the one that signs above. */
  #soundBelowFirst(grant: UpstreamGrant): CaSet | undefined {
    const at = this.#deps.clock.now();
    try {
      const set = parseCaSet(filesOf(grant), { at, trustDomain: this.#options.trustDomain });
      const [first] = parseCertificatesPem(grant.roots);
      const isFirst = first && Buffer.compare(first.der, set.roots[0].der) === 0;
      return isFirst ? set : undefined;
    } catch (error) {
      if (isUnsound(error)) return undefined;
      throw error;
    }
  }

  #take(grant: UpstreamGrant, set: CaSet): void {
    this.#deps.learnRoots(grant.roots);
    const isSameKey = this.#renewAt > 0 && grant.privateKey === this.#grant.privateKey;
    this.#grant = grant;
    this.#set = set;
    if (isSameKey) return;
    const leftMs = set.signer.issuers[0].notAfterAt - grant.obtainedAt;
    const part = RENEWAL_PART + (this.#deps.random.fraction() * 2 - 1) * JITTER_PART;
    this.#renewAt = grant.obtainedAt + leftMs * part;
  }

  /** One that fails does not keep the change from the others: it would not be told again. */
  async #tellListeners(): Promise<void> {
    for (const listener of this.#listeners) {
      await listener().catch((error: unknown) =>
        this.#deps.log.error('the authority from above did not reach everything', { error }),
      );
    }
  }

  #tellLog(what: string): void {
    const [issuer] = this.#set.signer.issuers;
    this.#deps.log.info(what, {
      upstream: this.#options.address,
      issuer: subjectOf(issuer),
      serial: issuer.serial,
      notAfter: new Date(issuer.notAfterAt).toISOString(),
      roots: this.#set.roots.map(({ serial }) => serial),
    });
  }
}
