import { Backoff } from '#base/backoff.ts';
import { type Clock, delay } from '#base/clock.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import { type IssuerList, issuerKey } from '#ca/lists/issuer-list.ts';
import {
  isFresh,
  type OtherAuthorities,
  type OtherList,
  type OtherNews,
  type OwnLists,
} from '#ca/lists/other-lists.ts';
import { declareUpstreamListMetrics } from '#ca/metrics.ts';
import {
  checkedLists,
  checkedUpperLists,
  encodeListOffer,
  type ListAnswer,
  type ListOffer,
  readListAnswer,
} from '#ca/sites/list-messages.ts';
import { asking } from '#ca/upstream/upstream-grant.ts';
import type { CaCredential, CertificateAuthority } from '#caclient/ca-client.ts';
import type { Certificate } from '#pki/certificate.ts';

export interface ListExchangeOptions {
  /** Where the last answer is kept. */
  readonly path: string;
  /** HOST:PORT of the server above, for messages. */
  readonly address: string;
}

export interface ListExchangeDeps {
  /** Used by nobody else: it is closed to end a question that waits. */
  readonly client: CertificateAuthority;
  readonly credential: () => Promise<CaCredential>;
  /** The roots that are trusted now. */
  readonly roots: () => readonly Certificate[];
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** An answer as it is kept. */
interface Kept {
  /** Wall-clock milliseconds. */
  readonly heardAt: number;
  readonly answer: ListAnswer;
}

const RETRY_DELAY = { delayMsMin: 500, delayMsMax: 30_000 };
/** Between two questions, each of which waits above until there is news. */
const PAUSE_MS = 100;
/** For people: who holds lists back, where the server above does not say. */
const SOMEBODY = 'the server above, or one below it';
const UNUSABLE = 'the server above, whose lists are over or cannot be used';
const NOTHING: ListAnswer = { digest: '', lists: [], isComplete: false, revoked: [] };

/**
 * Gives the revocation lists of this server to the one above, and gets those of all others below
 * the same roots. There is always a question open that is answered when something is new; what is
 * new here goes up at once. While the server above is away its last answer counts, over restarts
 * too.
 */
export class ListExchange implements OtherAuthorities, Component {
  readonly name = 'list-exchange';
  readonly #options: ListExchangeOptions;
  readonly #deps: ListExchangeDeps;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #listeners: (() => void)[] = [];
  /** The last list of each authority that was taken, by `issuerKey`; its number never goes back. */
  #lists: ReadonlyMap<string, OtherList> = new Map();
  #revoked: OtherNews['revoked'] = [];
  #upperPem = '';
  /** Whether every list of the last answer could be taken. */
  #isWhole = true;
  #kept: Kept = { heardAt: 0, answer: NOTHING };
  /** PEM texts. */
  #own: readonly string[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #telling: Promise<void> = Promise.resolve();

  private constructor(options: ListExchangeOptions, deps: ListExchangeDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY_DELAY, deps.random);
    declareUpstreamListMetrics(deps.metrics, { age: () => this.#ageMs() / 1000 });
  }

  /** @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN */
  static async open(options: ListExchangeOptions, deps: ListExchangeDeps): Promise<ListExchange> {
    const exchange = new ListExchange(options, deps);
    exchange.#kept = (await readKept(options.path)) ?? {
      heardAt: deps.clock.now(),
      answer: NOTHING,
    };
    exchange.rootsChanged();
    return exchange;
  }

  news(): OtherNews {
    const at = this.#deps.clock.now();
    const all = [...this.#lists.values()];
    const lists = all.filter((list) => isFresh(list, at));
    // One that is over may be the only one of an authority that still signs.
    const isWhole = this.#isWhole && lists.length === all.length;
    const { isComplete, missing = [SOMEBODY] } = this.#kept.answer;
    const away = isComplete ? [] : missing;
    const whole = isWhole ? away : [...away, UNUSABLE];
    return { lists, missing: whole, upperPem: this.#upperPem, revoked: this.#revoked };
  }

  publishOwn({ lists }: OwnLists): void {
    const now = this.#deps.clock.now();
    const isAlive = ({ issuers: [one, ...above] }: IssuerList): boolean =>
      above.length > 0 && one.notAfterAt > now;
    const alive = lists.filter(isAlive);
    const own = alive.map(({ pem }) => pem);
    const isSame = own.length === this.#own.length && own.every((pem) => this.#own.includes(pem));
    if (isSame) return;
    this.#own = own;
    void this.#tell({ isArriving: false });
  }

  onNews(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves when the workloads of the server above have taken what was published last, or not. */
  announce(): Promise<void> {
    return this.#tell({ isArriving: true });
  }

  /** To be called when other roots are trusted. */
  rootsChanged(): void {
    this.#read(this.#kept.answer);
  }

  async start(): Promise<void> {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#deps.client.close();
    await Promise.all([this.#running, this.#telling]);
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let pauseMs = PAUSE_MS;
      try {
        await this.#ask({ isWaiting: true, isArriving: false });
        this.#backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        pauseMs = this.#backoff.nextDelayMs();
        log.error('no revocation lists of the server above; the last ones stay in use', {
          upstream: this.#options.address,
          ageSeconds: Math.round(this.#ageMs() / 1000),
          retryMs: Math.round(pauseMs),
          error,
        });
      }
      if (!signal.aborted) await delay(clock, pauseMs, signal);
    }
  }

  /** What is new here; when it does not arrive the open question will bring it, later. */
  #tell({ isArriving }: Pick<ListOffer, 'isArriving'>): Promise<void> {
    const telling = this.#ask({ isWaiting: false, isArriving }).catch((error: unknown) => {
      if (this.#closing.signal.aborted) return;
      this.#deps.log.warn('the server above did not take the revocation lists yet', { error });
    });
    this.#telling = Promise.all([this.#telling, telling]).then(() => {});
    return telling;
  }

  async #ask(how: Pick<ListOffer, 'isArriving' | 'isWaiting'>): Promise<void> {
    const { client, clock } = this.#deps;
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const { digest: known } = this.#kept.answer;
    const lists = encodeListOffer({ lists: this.#own, known, ...how });
    const request = { csr: '', validitySeconds: 0, authority: 'lists', lists } as const;
    const sign = (credential: CaCredential) => client.sign(request, credential, signal);
    const [text = ''] = await asking(this.#deps, sign);
    const answer = text === '' ? this.#kept.answer : readListAnswer(text);
    if (!answer) {
      this.#deps.log.error('what the server above says of its lists does not read');
      return;
    }
    this.#kept = { heardAt: clock.now(), answer };
    if (text === '') return;
    await writeFileAtomic(this.#options.path, JSON.stringify(this.#kept));
    this.#read(answer);
  }

  #read(answer: ListAnswer): void {
    const { roots, clock, log } = this.#deps;
    const before = this.#lists;
    const now = { roots: roots(), at: clock.now() };
    const { good, problems } = checkedLists(answer, now);
    this.#upperPem = checkedUpperLists(answer, now);
    this.#isWhole = problems.length === 0;
    if (!this.#isWhole) log.error('revocation lists from above cannot be used', { problems });
    const newest = good.map((list) => {
      const kept = before.get(issuerKey(list.issuers[0]));
      if (!kept || list.number >= kept.number) return list;
      log.warn('an older revocation list from above is not taken', {
        number: `${list.number}`,
        kept: `${kept.number}`,
      });
      return kept;
    });
    this.#lists = new Map(newest.map((list) => [issuerKey(list.issuers[0]), list]));
    this.#revoked = answer.revoked.map((one) => {
      const { name, serial, identity, issuedTo, reason, revokedAt } = one;
      const what = { serial, identity, issuedTo, reason, revokedAt };
      return { ...what, name: `above:${name}`, uid: '', from: 'above' };
    });
    for (const listener of this.#listeners) listener();
  }

  #ageMs(): number {
    return this.#deps.clock.now() - this.#kept.heardAt;
  }
}

async function readKept(path: string): Promise<Kept | undefined> {
  if (!(await pathExists(path))) return undefined;
  const text = String(await readSecretFile(path));
  try {
    const { heardAt, answer } = JSON.parse(text) as Kept;
    const read = readListAnswer(JSON.stringify(answer));
    return read && Number.isFinite(heardAt) ? { heardAt, answer: read } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
