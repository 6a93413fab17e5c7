import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { CERTIFICATE_BACKDATE_MS } from '#ca/issuer.ts';
import { type IssuerList, issuerKey } from '#ca/lists/issuer-list.ts';
import { coverWithLists, type GivenList, readGivenLists, upperList } from '#ca/lists/list-cover.ts';
import type { ListFiles } from '#ca/lists/list-files.ts';
import type { OtherAuthorities, OtherNews, OwnLists } from '#ca/lists/other-lists.ts';
import { isSameContent, type TrustedContent } from '#ca/lists/trusted-content.ts';
import { declareRevocationMetrics } from '#ca/metrics.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import type { Signer } from '#ca/signer.ts';
import type { RevokedCertificate } from '#pki/build-crl.ts';
import { isListOf } from '#pki/crl.ts';
import { encodePem } from '#pki/pem.ts';

export interface CrlPublisherOptions {
  /** Milliseconds that a list is valid: a day longer than any certificate lives. */
  readonly validityMs: number;
  /** Whether lists are given out; they are kept in any case. */
  readonly isOn: boolean;
  /** Whether they are even while those of another server are missing. */
  readonly isForced?: boolean;
}

export interface CrlPublisherDeps {
  readonly roots: MeshRoots;
  readonly files: ListFiles;
  /** How many things are revoked now: certificates and identities. */
  readonly revocations: () => number;
  /** The certificates that are revoked now, those first that a list needs most. */
  readonly revoked: () => readonly RevokedCertificate[];
  /** The authorities of other servers below the same roots; left out when there are none. */
  readonly others?: Pick<OtherAuthorities, 'news'>;
  /** Told, often, of all lists of this server. */
  readonly onLists?: (own: Omit<OwnLists, 'revoked'>) => void;
  /** Called when `content` is another one. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** A list is signed anew after a day, whether anything changed or not. */
const REISSUE_MS = 24 * 3_600_000;
/** How often it is looked whether one is due. */
const LOOK_MS = 3_600_000;
const RETRY_MS = 60_000;
/** A list that nobody can sign anew goes so long before it is over; its leaves are over by then. */
const FORGET_MS = 24 * 3_600_000;

interface KeptList extends IssuerList {
  /** What it names; '' = not known, it is from before a restart. */
  readonly stamp: string;
}

/**
 * The revocation lists that peers check handshakes against, in both directions: one for each
 * authority that may have signed a certificate that is alive. A list that expired, or is missing
 * for one authority of several, fails every handshake below it. So lists are signed for all of them
 * at all times and kept on disk, where they outlive the keys; they go out in one piece with the
 * roots, complete or not at all, while something is revoked; and they live longer than every
 * certificate: when the control plane is gone for long, no list ends a connection.
 */
export class CrlPublisher implements Component {
  readonly name = 'revocation lists';
  readonly #options: CrlPublisherOptions;
  readonly #deps: CrlPublisherDeps;
  /** The last list of each authority, by `issuerKey`. */
  readonly #lists = new Map<string, KeptList>();
  #arriving: Signer | undefined;
  #content: TrustedContent;
  #figures = { thisUpdateAt: 0, nextUpdateAt: 0, missing: 0, leftOut: 0, certificates: 0 };
  #held: readonly string[] = [];
  #isGivenUnused = false;
  #timer: Timer | undefined;
  #signing: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isClosed = false;

  constructor(options: CrlPublisherOptions, deps: CrlPublisherDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#content = { rootsPem: deps.roots.bundlePem, crlPem: '', isLeafOnly: true };
    declareRevocationMetrics(deps.metrics, {
      revocations: deps.revocations,
      figures: () => this.#figures,
      clock: deps.clock,
    });
  }

  /** The roots with the lists that belong to them. */
  get content(): TrustedContent {
    return this.#content;
  }

  /** For want of whose lists none is given out, for people; nobody when none is needed. */
  get heldBackBy(): readonly string[] {
    return this.#held;
  }

  /**
   * To be called when something was revoked or is over, and when the roots changed; before the
   * start it does nothing: what is on disk has to be known first.
   */
  update(): Promise<void> {
    if (!this.#isStarted) return Promise.resolve();
    this.#signing = this.#signing.then(() => this.#update());
    return this.#signing;
  }

  /** Adds the list of a signer that is not in use yet, so that peers know it before. */
  announce(signer: Signer): Promise<void> {
    this.#arriving = signer;
    return this.update();
  }

  async start(): Promise<void> {
    for (const list of await this.#deps.files.read())
      this.#lists.set(issuerKey(list.issuers[0]), { ...list, stamp: '' });
    this.#isStarted = true;
    await this.update();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#signing;
  }

  /** Who can sign a list now. */
  #signers(): readonly Signer[] {
    const { roots } = this.#deps;
    const signers = roots.listSigners ?? [roots.signer];
    if (this.#arriving && signers.includes(this.#arriving)) this.#arriving = undefined;
    return this.#arriving ? [...signers, this.#arriving] : signers;
  }

  async #update(): Promise<void> {
    const { clock, log, onChange } = this.#deps;
    if (this.#isClosed) return;
    this.#timer?.cancel();
    let delayMs = LOOK_MS;
    try {
      await this.#sign();
    } catch (error) {
      delayMs = RETRY_MS;
      log.error('no new revocation list; the old one stays', { error, retryMs: RETRY_MS });
    }
    // Closed while it signed: nobody is there to be told.
    if (this.#isClosed) return;
    this.#timer = clock.after(delayMs, () => void this.update());
    const before = this.#content;
    this.#content = this.#compose();
    const lists = [...this.#lists.values()];
    this.#deps.onLists?.({ lists, isComplete: this.#isComplete(), upper: this.#upper() });
    if (!isSameContent(before, this.#content)) onChange();
  }

  async #sign(): Promise<void> {
    const { clock } = this.#deps;
    const given = this.#given();
    for (const signer of this.#signers()) {
      if (!signer.signCrl) continue;
      const revoked = this.#revokedBelow(signer, given);
      const stamp = stampOf(revoked);
      const kept = this.#lists.get(issuerKey(signer.issuers[0]));
      const age = kept ? clock.now() - kept.thisUpdateAt : REISSUE_MS;
      // One from before the clock was set back would be refused as one from the future.
      const isDue = age < 0 || age >= REISSUE_MS;
      if (isDue || kept?.stamp !== stamp) await this.#signFor(signer, { revoked, stamp });
    }
    await this.#forget();
  }

  async #signFor(
    signer: Signer,
    { revoked, stamp }: { readonly revoked: readonly RevokedCertificate[]; readonly stamp: string },
  ): Promise<void> {
    const { clock, log, files } = this.#deps;
    const now = clock.now();
    // Backdated as certificates are, for clocks that are behind.
    const thisUpdateAt = now - CERTIFICATE_BACKDATE_MS;
    const nextUpdateAt = now + this.#options.validityMs;
    const der = await signer.signCrl?.({ number: now, thisUpdateAt, nextUpdateAt, revoked });
    if (!der) return;
    const pem = encodePem('X509 CRL', der);
    const list = { issuers: signer.issuers, pem, thisUpdateAt, nextUpdateAt, stamp };
    this.#lists.set(issuerKey(signer.issuers[0]), list);
    log.info('revocation list signed', { count: revoked.length, bytes: der.length });
    await files.write(list);
  }

  /** Drops lists of authorities below which nothing lives any more. */
  async #forget(): Promise<void> {
    const { roots, clock, files } = this.#deps;
    const trusted = new Set(roots.roots.map(({ certificate }) => issuerKey(certificate)));
    const current = new Set(this.#signers().map(({ issuers }) => issuerKey(issuers[0])));
    for (const [key, list] of this.#lists) {
      const root = list.issuers.at(-1) ?? list.issuers[0];
      const isAlive = trusted.has(issuerKey(root)) && list.nextUpdateAt - FORGET_MS > clock.now();
      if (current.has(key) || isAlive) continue;
      this.#lists.delete(key);
      await files.remove(list);
    }
  }

  #given(): readonly GivenList[] {
    return readGivenLists(this.#deps.roots.crlPem ?? '');
  }

  /**
   * What is revoked here, and what a list says that came for the same authority; no more than a
   * list may hold.
   */
  #revokedBelow(signer: Signer, given: readonly GivenList[]): readonly RevokedCertificate[] {
    const bySerial = new Map(this.#deps.revoked().map((one) => [one.serial, one]));
    for (const list of given.filter((one) => isListOf(one, signer.issuers[0])))
      for (const serial of list.revokedSerials)
        if (!bySerial.has(serial))
          bySerial.set(serial, { serial, revokedAt: list.thisUpdateAt, reason: 'unspecified' });
    return [...bySerial.values()].slice(0, LIMITS.crlCertificatesMax);
  }

  /** The given lists, each with the authority that signed it. */
  #upper(): OwnLists['upper'] {
    const paths = this.#signers().map(({ issuers: [, ...above] }) => above);
    return this.#given().flatMap((list) => upperList(list, paths) ?? []);
  }

  #tellOfGiven(areUnused: boolean): void {
    if (areUnused && !this.#isGivenUnused)
      this.#deps.log.warn('the given revocation lists are not used for the authorities above', {
        remedy: 'give one for each authority up to the root, good for more than a day',
      });
    this.#isGivenUnused = areUnused;
  }

  /** Whether there is a list for each authority of this server that may have signed leaves. */
  #isComplete(): boolean {
    return this.#signers().every(({ issuers: [one] }) => this.#lists.has(issuerKey(one)));
  }

  #compose(): TrustedContent {
    const { roots, clock, log, revoked } = this.#deps;
    const others = this.#deps.others?.news() ?? NO_OTHERS;
    const own = this.#given();
    const given = [...own, ...readGivenLists(others.upperPem)];
    const all = [...this.#signers(), ...this.#lists.values(), ...others.lists];
    const lists = new Map<string, IssuerList>(
      others.lists.map((list) => [issuerKey(list.issuers[0]), list]),
    );
    for (const [key, list] of this.#lists) lists.set(key, list);
    const paths = all.map(({ issuers }) => issuers);
    const cover = coverWithLists({ paths, own: lists, given, at: clock.now() });
    const count = revoked().length;
    const signed = this.#signers().flatMap(
      ({ issuers: [one] }) => this.#lists.get(issuerKey(one)) ?? [],
    );
    const isNamed =
      count > 0 ||
      signed.some(({ stamp }) => stamp !== NOTHING) ||
      others.lists.some(({ revokedSerials }) => revokedSerials.length > 0);
    const isNeeded = isNamed || (given.length > 0 && !cover.isLeafOnly);
    const servers = this.#options.isForced === true ? [] : others.missing;
    const unsigned = cover.missing.map(({ serial }) => `authority ${serial} of this server`);
    const isWanted = this.#options.isOn && isNeeded;
    const missing = isWanted ? [...servers, ...unsigned] : [];
    const isOut = isWanted && missing.length === 0;
    if (missing.length > 0 && this.#held.length === 0)
      log.error('an authority has no revocation list, so none is given out', { missing });
    this.#held = missing;
    this.#tellOfGiven(own.length > 0 && cover.isLeafOnly);
    this.#figures = {
      thisUpdateAt: isOut ? Math.min(...signed.map(({ thisUpdateAt: at }) => at)) : 0,
      nextUpdateAt: isOut ? cover.nextUpdateAt : 0,
      missing: missing.length,
      leftOut: Math.max(0, count - LIMITS.crlCertificatesMax),
      certificates: count,
    };
    const { bundlePem: rootsPem } = roots;
    return isOut
      ? { rootsPem, crlPem: cover.pem, isLeafOnly: cover.isLeafOnly }
      : { rootsPem, crlPem: '', isLeafOnly: true };
  }
}

const NOTHING = stampOf([]);
const NO_OTHERS: OtherNews = { lists: [], missing: [], upperPem: '', revoked: [] };

function stampOf(revoked: readonly RevokedCertificate[]): string {
  const entries = revoked.map(({ serial, reason, revokedAt }) => [serial, reason, revokedAt]);
  return JSON.stringify(entries);
}
