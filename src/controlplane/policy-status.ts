import type { Diagnostic } from '#api/diagnostic.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject, KindId, ObjectKey } from '#api/object.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { type ObjectEvent, ObjectWatch } from '#controllers/object-watch.ts';
import { type Enforcement, enforcementKey } from '#controlplane/enforcement.ts';
import { GATEWAY_API_KINDS, withGatewayApiStatus } from '#controlplane/gateway-api-status.ts';
import {
  type Condition,
  enforcementConditions,
  findingsCondition,
  mergeConditions,
  type Said,
} from '#controlplane/status-conditions.ts';
import type { Verdict } from '#controlplane/verdict.ts';
import { WorkRound } from '#controlplane/work-round.ts';
import { MODEL_KINDS } from '#model/mesh-model.ts';
import { CONDITION, ENFORCED_KINDS } from '#policy/enforced-kinds.ts';
import type { Findings } from '#policy/findings.ts';
import type { GatewayApiStates } from '#policy/gateway/gateway-api-state.ts';
import type { Store } from '#store/store.ts';

export interface PolicyStatusDeps {
  /** As the mesh is now. */
  readonly findings: () => Findings;
  /** The same. */
  readonly gatewayApi: () => GatewayApiStates;
  /** Of the mesh. */
  readonly version: () => number;
  readonly enforcement: Pick<Enforcement, 'look' | 'verdictOf'>;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** Kinds about which there is something to find, and nothing to enforce by itself. */
const FOUND_KINDS: readonly KindId[] = [
  'handlers.config.istio.io',
  'listcheckers.config.istio.io',
  'gateways.networking.istio.io',
  'virtualservices.networking.istio.io',
];
const isEnforced: ReadonlySet<KindId> = new Set(ENFORCED_KINDS);

/** Changes mostly come several at once, and a look at all objects takes its time. */
const ALL = { pauseMs: 500, restFactor: 9 };
/** Whoever waits for a change should not wait for us: answers of proxies come several at once. */
const FRESH = { pauseMs: 10, restFactor: 1 };
/** Objects that are looked at before others get their turn. */
const BATCH = 200;
/** How long after a start nothing is said of proxies that are not back yet. */
const START_MS = 10_000;
const RETRY = { delayMsMin: 1000, delayMsMax: 60_000 };

type WithStatus = ApiObject & { readonly status?: IstioStatus };

/**
 * Writes into the status of objects what became of them: the conditions `Accepted` and `Reconciled`
 * say how far they are enforced, `Findings` what the mesh as a whole has to say about them. Objects
 * of the Gateway API get the conditions that it defines.
 *
 * Two rounds go on at their own pace. One looks at objects that were changed and that not everybody
 * enforces yet: whoever waits for that hears of it at once. The other looks at all objects, at most
 * some of which it writes in one round, so that a mesh in motion does not keep the store busy.
 */
export class PolicyStatus implements Component {
  readonly name = 'policy-status';
  readonly #deps: PolicyStatusDeps;
  readonly #watch: ObjectWatch;
  readonly #backoff: Backoff;
  readonly #all: WorkRound;
  readonly #news: WorkRound;
  /** Changed objects of which was not said yet that they are enforced. */
  readonly #fresh = new Map<string, ObjectKey>();
  #findings: ReadonlyMap<string, readonly Diagnostic[]> = new Map();
  /** The version of the mesh that findings are of; undefined: they are to be looked for again. */
  #version: number | undefined;
  /** Whether proxies got further since the last look at all objects, or some were not written. */
  #isBehind = true;
  #startedMs = 0;
  #startTimer: Timer | undefined;

  constructor(deps: PolicyStatusDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY, deps.random);
    this.#watch = new ObjectWatch(
      { kinds: MODEL_KINDS, onEvent: (event) => this.#noted(event) },
      deps,
    );
    this.#all = new WorkRound(ALL, () => this.#writeAll(), deps.clock);
    this.#news = new WorkRound(FRESH, () => this.#writeFresh(), deps.clock);
  }

  async start(): Promise<void> {
    this.#startedMs = this.#deps.clock.monotonicMs();
    await this.#watch.start();
    this.#all.soon();
    this.#startTimer = this.#deps.clock.after(START_MS, () => this.progressed());
  }

  async close(): Promise<void> {
    this.#startTimer?.cancel();
    await this.#watch.close();
    await Promise.all([this.#all.close(), this.#news.close()]);
  }

  /** To be called when something outside of objects changed what there is to say. */
  recheck(): void {
    this.#version = undefined;
    this.#all.soon();
  }

  /** To be called, as often as it happens, when proxies took or refused something, or went. */
  progressed(): void {
    if (this.#fresh.size > 0) this.#news.soon();
    this.#isBehind = true;
    this.#all.soon();
  }

  #noted({ type, kind, object }: ObjectEvent): void {
    if (isEnforced.has(kind)) {
      const key = enforcementKey(object);
      const { namespace = '', name, generation } = object.metadata;
      if (type === 'DELETED') this.#fresh.delete(key);
      else if (saidOf(object) !== generation) this.#fresh.set(key, { kind, namespace, name });
    }
    if (this.#fresh.size > 0) this.#news.soon();
    this.#all.soon();
  }

  async #writeFresh(): Promise<void> {
    this.#deps.enforcement.look();
    for (const [key, name] of [...this.#fresh].slice(0, LIMITS.statusWritesPerRoundMax)) {
      this.#fresh.delete(key);
      if (!(await this.#writeOne(name))) this.#fresh.set(key, name);
    }
  }

  /** Says of an object that it is enforced, or refused; false when it is neither so far. */
  async #writeOne(name: ObjectKey): Promise<boolean> {
    const { enforcement, store, clock } = this.#deps;
    try {
      const object = await store.get(name);
      if (!object) return true;
      const verdict = enforcement.verdictOf(object);
      const isRefused = verdict.behind.some(({ why }) => why === 'refused');
      if (verdict.enforcing < verdict.proxies && !isRefused) return false;
      const next = withConditions(object, sayingOf(object, verdict), clock.now());
      if (next) await store.updateStatus(next);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  /** Nothing is looked at where nothing happened: our own writes are no news. */
  async #writeAll(): Promise<void> {
    const version = this.#deps.version();
    if (version === this.#version && !this.#isBehind) return;
    this.#isBehind = false;
    try {
      if (version !== this.#version) this.#find();
      this.#version = version;
      this.#deps.enforcement.look();
      const isWhole = await this.#writeSome(LIMITS.statusWritesPerRoundMax);
      if (!isWhole) this.progressed();
      this.#backoff.reset();
    } catch (error) {
      this.#isBehind = true;
      this.#failed(error);
      this.#all.soon(this.#backoff.nextDelayMs());
    }
  }

  /** False when more was to be written than may be. */
  async #writeSome(writesMax: number): Promise<boolean> {
    const { store, clock } = this.#deps;
    const states = this.#deps.gatewayApi();
    const isOfGatewayApi: ReadonlySet<KindId> = new Set(GATEWAY_API_KINDS);
    let writes = 0;
    for (const kind of [...ENFORCED_KINDS, ...FOUND_KINDS, ...GATEWAY_API_KINDS]) {
      const { items } = await store.list(kind);
      for (const [index, object] of items.entries()) {
        if (index % BATCH === BATCH - 1) await new Promise((resolve) => setImmediate(resolve));
        const next = isOfGatewayApi.has(kind)
          ? withGatewayApiStatus(object, states, clock.now())
          : withConditions(object, this.#saidOf(kind, object), clock.now());
        if (!next) continue;
        if (writes === writesMax) return false;
        writes += 1;
        await store.updateStatus(next);
      }
    }
    return true;
  }

  #find(): void {
    const found = this.#deps.findings();
    this.#findings = new Map([...found].map(([object, list]) => [enforcementKey(object), list]));
  }

  #failed(error: unknown): void {
    // Somebody else wrote meanwhile; that is news, too, and will be looked at.
    if (isBulwarkError(error, 'API_CONFLICT') || isBulwarkError(error, 'API_NOT_FOUND')) return;
    this.#deps.log.warn('the status of policies is not up to date', { error });
  }

  #saidOf(kind: KindId, object: ApiObject): ReadonlyMap<string, Said | undefined> {
    const found = findingsCondition(object, this.#findings.get(enforcementKey(object)) ?? []);
    const about = isEnforced.has(kind) && !this.#isTooEarly(object);
    const verdict = about ? this.#deps.enforcement.verdictOf(object) : undefined;
    const said = verdict ? sayingOf(object, verdict) : [];
    return new Map([...said, [CONDITION.findings, found]]);
  }

  /** Proxies come back one by one after a start: what was said before it still holds for them. */
  #isTooEarly(object: ApiObject): boolean {
    const isStarting = this.#deps.clock.monotonicMs() - this.#startedMs < START_MS;
    return isStarting && saidOf(object) === object.metadata.generation;
  }
}

/** The generation that was spoken of last; undefined when nothing was said yet. */
function saidOf(object: ApiObject): unknown {
  return conditionsOf(object).find(({ type }) => type === CONDITION.reconciled)?.observedGeneration;
}

function conditionsOf(object: ApiObject): readonly Condition[] {
  return (object as WithStatus).status?.conditions ?? [];
}

/** The object with what is said of it now; undefined when that is the same as before. */
function withConditions(
  object: ApiObject,
  said: ReadonlyMap<string, Said | undefined>,
  now: number,
): ApiObject | undefined {
  const before = conditionsOf(object);
  const conditions = mergeConditions(before, said, now);
  if (conditions === before) return undefined;
  const { status } = object as WithStatus;
  const next: WithStatus = { ...object, status: { ...status, conditions } };
  return next;
}

function sayingOf(object: ApiObject, verdict: Verdict): ReadonlyMap<string, Said | undefined> {
  const said = enforcementConditions(object, verdict);
  return new Map(said.map((one) => [one.type ?? '', one]));
}
