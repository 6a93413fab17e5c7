import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { issuerKey } from '#ca/lists/issuer-list.ts';
import { ListFiles } from '#ca/lists/list-files.ts';
import {
  isFresh,
  type OtherAuthorities,
  type OtherList,
  type OtherNews,
  type OtherRevocation,
  type OwnLists,
  readOtherList,
  type UpperList,
} from '#ca/lists/other-lists.ts';
import { declareSiteListMetrics } from '#ca/metrics.ts';
import { isSerialOf } from '#ca/serial.ts';
import { type ListAnswer, readListOffer } from '#ca/sites/list-messages.ts';
import type { SiteAuthority, Sites } from '#ca/sites/sites.ts';
import type { Certificate } from '#pki/certificate.ts';
import { encodePem } from '#pki/pem.ts';
import { parseWorkloadId, type SpiffeId } from '#spiffe/spiffe-id.ts';

export interface SiteListsOptions {
  /** Where the last list of each authority is kept. */
  readonly directory: string;
}

export interface SiteListsDeps {
  readonly sites: Pick<Sites, 'all' | 'authorities'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** How long an answer waits for something new, milliseconds; calls have ten seconds. */
const WAIT_MS = 8000;

/**
 * The revocation lists of the servers below this one, and what each of them is told of the others
 * and of this one. A list counts only for the authority that signed it, and an authority only for
 * the site that it was made for; the number of a list never goes back. What a site sent last stays
 * when it is away.
 */
export class SiteLists implements OtherAuthorities {
  readonly #deps: SiteListsDeps;
  readonly #files: ListFiles;
  /** By `issuerKey`. */
  readonly #lists = new Map<string, OtherList>();
  readonly #openedAt: number;
  readonly #heardAt = new Map<SpiffeId, number>();
  readonly #listeners: (() => void)[] = [];
  /** Answers that wait for something new. */
  readonly #waiting = new Set<() => void>();
  readonly #counts: ReturnType<typeof declareSiteListMetrics>;
  #own: OwnLists = { lists: [], isComplete: true, upper: [], revoked: [] };
  #revoked: readonly OtherRevocation[] = [];
  #areTaken: () => Promise<unknown> = async () => {};
  #writing: Promise<void> = Promise.resolve();

  private constructor({ directory }: SiteListsOptions, deps: SiteListsDeps) {
    this.#deps = deps;
    this.#openedAt = deps.clock.now();
    this.#files = new ListFiles(directory, deps);
    this.#counts = declareSiteListMetrics(deps.metrics, { oldest: () => this.#ageSeconds() });
  }

  /** @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, FILES_UNWRITABLE */
  static async open(options: SiteListsOptions, deps: SiteListsDeps): Promise<SiteLists> {
    const lists = new SiteLists(options, deps);
    const now = deps.clock.now();
    const alive = new Set(deps.sites.authorities().map(({ issuers: [one] }) => issuerKey(one)));
    for (const { issuers, pem } of await lists.#files.read()) {
      const key = issuerKey(issuers[0]);
      const list = alive.has(key) ? readOtherList({ pem, issuers, at: now }) : 'its time is over';
      if (typeof list === 'string') await lists.#files.remove({ issuers });
      else lists.#lists.set(key, list);
    }
    lists.#revoked = lists.#readRevoked();
    return lists;
  }

  /** The lists of all authorities of sites, and whether one is missing that may sign by now. */
  news(): OtherNews {
    const lists = this.#alive().flatMap(({ list }) => list ?? []);
    const missing = this.#missing().map(nameOf);
    return { lists, missing, upperPem: '', revoked: this.#revoked };
  }

  publishOwn(own: OwnLists): void {
    this.#own = own;
    this.#wake();
  }

  onNews(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Sets what is waited for before a new authority of a site may sign. */
  whenTaken(areTaken: () => Promise<unknown>): void {
    this.#areTaken = areTaken;
  }

  /**
   * Takes the lists of a site, and answers with those of the others.
   * @param text a `ListOffer` as it was sent
   * @param signal ends the wait: nobody listens any more
   * @returns a `ListAnswer` as it is sent; '' when nothing is new
   * @throws BulwarkError CA_LISTS_REFUSED when one of them is not its own
   */
  async exchange(identity: SpiffeId, text: string, signal: AbortSignal): Promise<string> {
    const offer = readListOffer(text);
    if (!offer) throw refused('what came in BulwarkLists does not read', identity);
    if (this.#take(identity, offer.lists)) this.#tellAll();
    this.#heardAt.set(identity, this.#deps.clock.now());
    await this.#writing;
    if (offer.isArriving) await this.#areTaken();
    const isKnown = (): boolean => this.#answerTo(identity).digest === offer.known;
    if (offer.isWaiting && isKnown()) await this.#change(isKnown, signal);
    const answer = this.#answerTo(identity);
    return answer.digest === offer.known ? '' : JSON.stringify(answer);
  }

  /** Whether any of these is new. All of them are checked before the first is taken. */
  #take(identity: SpiffeId, pems: readonly string[]): boolean {
    const own = this.#deps.sites.authorities().filter((one) => one.identity === identity);
    const at = this.#deps.clock.now();
    const lists = pems.map((pem) => {
      const read = own.map(({ issuers }) => readOtherList({ pem, issuers, at }));
      const list = read.find((one) => typeof one !== 'string');
      if (list) return list;
      this.#counts.refused.inc({});
      throw refused('a list is of no authority of this site, or not good now', identity);
    });
    const fresh = lists.filter((list) => this.#isNewer(list, identity));
    for (const list of fresh) {
      this.#lists.set(issuerKey(list.issuers[0]), list);
      this.#writing = this.#writing.then(() => this.#files.write(list));
    }
    return fresh.length > 0;
  }

  #isNewer(list: OtherList, identity: SpiffeId): boolean {
    const kept = this.#lists.get(issuerKey(list.issuers[0]));
    if (!kept || list.number > kept.number) return true;
    if (list.pem.trim() === kept.pem.trim()) return false;
    this.#counts.refused.inc({});
    const numbers = { number: `${list.number}`, kept: `${kept.number}` };
    this.#deps.log.warn('an older revocation list of a site is not taken', {
      identity,
      ...numbers,
    });
    return false;
  }

  #tellAll(): void {
    this.#revoked = this.#readRevoked();
    for (const listener of this.#listeners) listener();
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Each authority that is good, with its list if that may be given out. */
  #alive(): readonly (SiteAuthority & { readonly list: OtherList | undefined })[] {
    const at = this.#deps.clock.now();
    const good = this.#deps.sites.authorities().filter(({ issuers: [one] }) => one.notAfterAt > at);
    return good.map((authority) => {
      const list = this.#lists.get(issuerKey(authority.issuers[0]));
      return { ...authority, list: list && isFresh(list, at) ? list : undefined };
    });
  }

  /**
   * Sites that may sign and have no list. One with a list for another of its authorities does not
   * sign with a new one before it sent a list of that, too.
   */
  #missing(besides?: SpiffeId): readonly SpiffeId[] {
    const heard = new Set(this.#alive().flatMap(({ identity, list }) => (list ? identity : [])));
    const sites = this.#deps.sites.all().map(({ identity }) => identity);
    return sites.filter((identity) => identity !== besides && !heard.has(identity));
  }

  /** Serials for filters, which do not see who signed: those that only that site can have given. */
  #readRevoked(): readonly OtherRevocation[] {
    const bySite = Map.groupBy(this.#alive(), ({ identity }) => identity);
    const all = [...bySite].flatMap(([identity, authorities]) =>
      authorities
        .flatMap(({ issuers: [one], list }) =>
          (list?.revokedSerials ?? [])
            .filter((serial) => isSerialOf(serial, one))
            .map((serial) => revocationOf(serial, nameOf(identity), list?.thisUpdateAt ?? 0)),
        )
        .slice(0, LIMITS.siteRevocationsMax),
    );
    return all.slice(0, LIMITS.revocationsMax);
  }

  #answerTo(identity: SpiffeId): ListAnswer {
    const own = this.#own;
    const others = this.#alive().filter((one) => one.identity !== identity);
    const lists = [...own.lists, ...others.flatMap(({ list }) => list ?? [])].map(sent);
    const missing = [
      ...this.#missing(identity).map(nameOf),
      ...(own.isComplete ? [] : ['the server above']),
    ];
    const isComplete = missing.length === 0;
    const revoked = own.revoked
      .filter(({ from }) => from !== nameOf(identity))
      .map(({ from: _, uid: __, ...rest }) => rest);
    const content = { lists, isComplete, missing, upper: own.upper.map(sent), revoked };
    const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex');
    return { digest, ...content };
  }

  /** Resolves when the answer would be another one, time is up, or nobody listens. */
  #change(isSame: () => boolean, signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= LIMITS.siteWaitsMax || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const wake = (): void => {
        if (!isSame()) end();
      };
      const timer = this.#deps.clock.after(WAIT_MS, end);
      this.#waiting.add(wake);
      signal.addEventListener('abort', end);
    });
  }

  #ageSeconds(): number {
    const now = this.#deps.clock.now();
    const ages = this.#deps.sites.all().map(({ identity }) => {
      return now - (this.#heardAt.get(identity) ?? this.#openedAt);
    });
    return Math.max(0, ...ages) / 1000;
  }
}

function revocationOf(serial: string, site: string, revokedAt: number): OtherRevocation {
  return {
    name: `site:${site}:${serial}`,
    uid: '',
    serial,
    identity: undefined,
    issuedTo: undefined,
    reason: 'unspecified',
    revokedAt,
    from: site,
  };
}

function nameOf(identity: SpiffeId): string {
  const { namespace = '', serviceAccount = '' } = parseWorkloadId(identity) ?? {};
  return `${serviceAccount}.${namespace}`;
}

function sent({ issuers, pem }: UpperList): ListAnswer['lists'][number] {
  return { chain: chainOf(issuers), pem };
}

function chainOf(issuers: readonly Certificate[]): string {
  return issuers.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}

function refused(reason: string, identity: SpiffeId): BulwarkError {
  return new BulwarkError('CA_LISTS_REFUSED', reason, {
    remedy: 'a server below sends lists of the authorities that it got here, and no others',
    data: { identity },
  });
}
