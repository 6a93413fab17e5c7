import { type HttpAsk, KeepAliveClient } from './keep-alive-client.ts';

export interface PacedLoadOptions {
  readonly port: number;
  /** What is asked next; asked again for each request. */
  readonly ask: () => HttpAsk;
  readonly requestsPerSecond: number;
  /** Connections that stay open, used in turn; without it each request has a new one. */
  readonly connections?: number;
}

/** What came of the requests that were sent within a time. */
export interface PacedCounts {
  /** By status; 0 = no answer. */
  readonly answers: ReadonlyMap<number, number>;
  readonly sent: number;
  /** Answered later than `LATE_MS` after they were due, or not sent: too many were waiting. */
  readonly late: number;
  /** The first few answers other than 200, in words. */
  readonly others: readonly string[];
}

interface Counts {
  readonly answers: Map<number, number>;
  readonly others: string[];
  sent: number;
  late: number;
}

/** What the answer of a busy machine may take; counted from when the request was due. */
const LATE_MS = 1000;
const TICK_MS = 4;
/** Requests that wait for an answer at the same time: of one connection, or of all new ones. */
const WAITING_MAX = { connection: 8, others: 32 } as const;
const OTHERS_MAX = 5;

/**
 * Asks at a fixed rate, whether or not answers come: a server that stands still for a moment gets
 * what was due meanwhile, as from many independent users. On a machine that cannot keep up the rate
 * falls: answers that nobody waits for any more would be failures of the test alone.
 */
export class PacedLoad {
  readonly #options: PacedLoadOptions;
  readonly #clients: readonly KeepAliveClient[];
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  readonly #startedAt = performance.now();
  #due = 0;
  #counts = newCounts();

  constructor(options: PacedLoadOptions) {
    this.#options = options;
    const { port, connections = 0 } = options;
    this.#clients = Array.from({ length: connections }, () => new KeepAliveClient({ port }));
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  /** Requests that were sent since the last `restart`. */
  get sent(): number {
    return this.#counts.sent;
  }

  /** Counts from now on only what is sent from now on. Gives what was counted until now. */
  restart(): PacedCounts {
    const before = this.#counts;
    this.#counts = newCounts();
    return before;
  }

  /** Ends it; with the last counts, every answer among them. */
  async stop(): Promise<PacedCounts> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    for (const client of this.#clients) client.close();
    return this.#counts;
  }

  get #waitingMax(): number {
    return this.#clients.length * WAITING_MAX.connection || WAITING_MAX.others;
  }

  #sendDue(): void {
    const { requestsPerSecond } = this.#options;
    const elapsedMs = performance.now() - this.#startedAt;
    const wanted = Math.floor((elapsedMs / 1000) * requestsPerSecond);
    for (; this.#due < wanted; this.#due += 1) {
      if (this.#open.size >= this.#waitingMax) {
        this.#counts.late += 1;
        continue;
      }
      const dueAt = this.#startedAt + (this.#due / requestsPerSecond) * 1000;
      const one = this.#send(dueAt).finally(() => this.#open.delete(one));
      this.#open.add(one);
    }
  }

  async #send(dueAt: number): Promise<void> {
    const counts = this.#counts;
    counts.sent += 1;
    const { port, ask } = this.#options;
    const kept = this.#clients[this.#due % Math.max(1, this.#clients.length)];
    const client = kept ?? new KeepAliveClient({ port });
    try {
      const { status, body } = await client.ask(ask());
      count(counts, status, `${status} ${body.slice(0, 120)}`);
    } catch (error) {
      count(counts, 0, String(error));
    } finally {
      if (kept === undefined) client.close();
    }
    if (performance.now() - dueAt > LATE_MS) counts.late += 1;
  }
}

function newCounts(): Counts {
  return { answers: new Map(), others: [], sent: 0, late: 0 };
}

function count(counts: Counts, status: number, said: string): void {
  counts.answers.set(status, (counts.answers.get(status) ?? 0) + 1);
  if (status !== 200 && counts.others.length < OTHERS_MAX) counts.others.push(said);
}
