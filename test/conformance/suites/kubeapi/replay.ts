import { setTimeout as delay } from 'node:timers/promises';
import type { ApiAnswer, ApiClient, TestWatch } from '../../../kit/api-client.ts';
import { answerDifference } from './answer-difference.ts';
import { Placeholders } from './placeholders.ts';
import type { RecordedResponse, Scenario, SentRequest, Step, WatchEvent } from './transcript.ts';

/** What became of a step; `skipped` says why nothing can be asked. */
export interface StepResult {
  readonly step: string;
  readonly difference?: string | undefined;
  readonly skipped?: string;
}

/** Gives clients by who asks: `admin`, `cert:carol`, `token:TOKEN` with the token itself. */
export type Clients = (as: string) => ApiClient;

/** Headers of an answer that count; others differ between servers. */
const HEADERS = ['content-type', 'warning', 'allow', 'location'] as const;
/** Values of an earlier answer of which the recording keeps no copy. */
const UNWRITTEN = /<(etag|claims|hash)/;
/** Steps whose recorded part of a large document says nothing of ours but the status. */
const STATUS_ONLY = /Table|columns|discovery|roots|openapi/;
/** What controllers do comes a moment later: a GET is asked again. */
const TRIES = 4;
const PAUSE_MS = 50;
const WAIT_TRIES = 40;
/** A server ends a watch when it said it would, which takes some seconds. */
const END_TRIES = 120;
/** Events that may be there or not: real servers send them when they like. */
const INITIAL_END = 'k8s.io/initial-events-end';

/** Replays scenarios of one area against a server. */
export class Replay {
  readonly #area: string;
  readonly #clients: Clients;
  #placeholders = new Placeholders();
  #watches = new Map<string, TestWatch>();

  constructor(area: string, clients: Clients) {
    this.#area = area;
    this.#clients = clients;
  }

  /** The steps of a scenario in order, those that only pause left out. */
  async run(scenario: Scenario): Promise<StepResult[]> {
    this.#placeholders = new Placeholders();
    this.#watches = new Map();
    for (const name of scenario.namespaces ?? []) await this.#makeNamespace(name);
    const results: StepResult[] = [];
    let needs: string | undefined;
    for (const step of scenario.steps) {
      needs ??= step.needs;
      if (step.sleepMs) await delay(step.sleepMs);
      if (step.waitFor && needs === undefined) await this.#waitFor(step.waitFor);
      if (step.watchEnd === undefined && (!step.request || !step.response)) continue;
      const result = needs ? { skipped: `needs ${needs}` } : await this.#step(step, scenario.name);
      results.push({ step: step.name, ...result });
    }
    for (const watch of this.#watches.values()) watch.close();
    return results;
  }

  async #makeNamespace(name: string): Promise<void> {
    const admin = this.#clients('admin');
    const metadata = { name };
    await admin.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
    const path = `/api/v1/namespaces/${name}/serviceaccounts/default`;
    await this.#waitFor({ path, status: 200 });
  }

  async #waitFor({ path, status }: NonNullable<Step['waitFor']>): Promise<void> {
    const filled = this.#placeholders.fill(path, encodeURIComponent) ?? path;
    for (let tries = WAIT_TRIES; tries > 0; tries--) {
      if ((await this.#clients('admin').get(filled)).status === status) return;
      await delay(PAUSE_MS);
    }
  }

  async #step(step: Step, scenario: string): Promise<Omit<StepResult, 'step'>> {
    const { watchEnd, request, response, as = 'admin' } = step;
    if (watchEnd !== undefined) return await this.#endWatch(step, watchEnd, scenario);
    if (!request || !response) return {};
    if (request.bodyDescription || UNWRITTEN.test(JSON.stringify(request)))
      return { skipped: 'a value that it sends is not written down' };
    const path = this.#placeholders.fill(request.path, encodeURIComponent);
    const who = this.#placeholders.fill(as);
    const body = this.#placeholders.fill(request.text ?? JSON.stringify(request.body ?? null));
    if (path === undefined || who === undefined || body === undefined)
      return { difference: 'an earlier answer lacks what this request needs' };
    const headers = { accept: 'application/json', ...request.headers };
    const sent = { ...request, path, headers };
    if (step.watch !== undefined) return await this.#openWatch(step.watch, who, sent, response);
    const hasBody = request.text !== undefined || request.body !== undefined;
    const isPart = this.#isPart(scenario, step);
    let difference: string | undefined;
    for (let tries = request.method === 'GET' ? TRIES : 1; tries > 0; tries--) {
      const answer = await this.#clients(who).ask({ ...sent, body: hasBody ? body : undefined });
      difference = this.#difference(response, answer, step, isPart);
      if (difference === undefined) break;
      if (tries > 1) await delay(PAUSE_MS);
    }
    return { difference };
  }

  /** Whether the recorded part of an answer is compared beyond its status. */
  #isPart(scenario: string, { name }: Step): boolean {
    return this.#area !== 'discovery' && !STATUS_ONLY.test(scenario + name);
  }

  #difference(
    expected: RecordedResponse,
    { status, headers, body }: ApiAnswer,
    { varies }: Step,
    isPart: boolean,
  ): string | undefined {
    if (status !== expected.status) return `status: expected ${expected.status}, got ${status}`;
    if (varies) return undefined;
    for (const name of HEADERS) {
      const wanted = expected.headers?.[name];
      const given = headers[name];
      if (wanted === undefined && name !== 'warning') continue;
      if (!this.#placeholders.matches(wanted ?? '', given ?? ''))
        return `header ${name}: expected ${wanted ?? 'none'}, got ${given ?? 'none'}`;
    }
    if (expected.body !== undefined)
      return answerDifference(expected.body, body, this.#placeholders, false);
    const part = expected.bodySubset as { readonly kind?: unknown } | undefined;
    if (!isPart || part?.kind === undefined) return undefined;
    return answerDifference(part, body, this.#placeholders, true);
  }

  async #openWatch(
    name: string,
    who: string,
    { path, headers }: SentRequest,
    response: RecordedResponse,
  ): Promise<Omit<StepResult, 'step'>> {
    const watch = await this.#clients(who).watch(path, headers);
    this.#watches.set(name, watch);
    const { status } = watch;
    if (status === response.status) return {};
    return { difference: `status: expected ${response.status}, got ${status}` };
  }

  async #endWatch(
    { events = [], ended = '' }: Step,
    name: string,
    scenario: string,
  ): Promise<Omit<StepResult, 'step'>> {
    const watch = this.#watches.get(name);
    if (watch === undefined) return { difference: 'the watch was not opened' };
    const byServer = ended.startsWith('server');
    let isOver = false;
    void watch.ended.then(() => {
      isOver = true;
    });
    const isThere = () => (byServer ? isOver : isOver || watch.events.length >= events.length);
    for (let tries = byServer ? END_TRIES : WAIT_TRIES; tries > 0 && !isThere(); tries--)
      await delay(PAUSE_MS);
    // Whatever comes beyond what is expected comes within this time.
    await delay(byServer ? 0 : PAUSE_MS);
    watch.close();
    if (byServer !== isOver) return { difference: `stream: expected that ${ended} ends it` };
    const isPart = /pick|namespace-deletion/.test(scenario);
    const given = (watch.events as readonly WatchEvent[]).filter(counts);
    const wanted = events.filter(counts);
    return { difference: answerDifference(wanted, given, this.#placeholders, isPart, 'events') };
  }
}

function counts({ type, object }: WatchEvent): boolean {
  return type !== 'BOOKMARK' || object?.metadata?.annotations?.[INITIAL_END] !== undefined;
}
