import { isDeepStrictEqual } from 'node:util';
import type { Diagnostic } from '#api/diagnostic.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { ObjectWatch } from '#controllers/object-watch.ts';
import { MODEL_KINDS } from '#model/mesh-model.ts';
import type { Findings } from '#policy/findings.ts';
import type { Store } from '#store/store.ts';

export interface PolicyStatusDeps {
  /** As the mesh is now. */
  readonly findings: () => Findings;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

type Condition = NonNullable<IstioStatus['conditions']>[number];

/** The condition that says what users should know about an object; absent without findings. */
const CONDITION = 'Findings';
/** Policies whose status is looked after. */
const POLICY_KINDS: readonly KindId[] = [
  'authorizationpolicies.security.istio.io',
  'peerauthentications.security.istio.io',
  'requestauthentications.security.istio.io',
  'policies.authentication.istio.io',
  'meshpolicies.authentication.istio.io',
  'destinationrules.networking.istio.io',
  'rules.config.istio.io',
  'handlers.config.istio.io',
  'listcheckers.config.istio.io',
];
/** Changes mostly come several at once. */
const SETTLE_MS = 500;
const RETRY = { delayMsMin: 1000, delayMsMax: 60_000 };
const SEVERITIES = ['error', 'warning', 'info'] as const;
/** The reason of the condition: the worst of what it says. */
const REASONS = { error: 'Error', warning: 'Warning', info: 'Note' } as const;

/**
 * Writes into the status of policies what the mesh as a whole has to say about them: a condition
 * `Findings`, from worst to least, which goes away with its reasons. `kubectl describe` shows it.
 */
export class PolicyStatus implements Component {
  readonly name = 'policy-status';
  readonly #deps: PolicyStatusDeps;
  readonly #watch: ObjectWatch;
  readonly #backoff: Backoff;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(deps: PolicyStatusDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY, deps.random);
    this.#watch = new ObjectWatch(
      { kinds: MODEL_KINDS, onEvent: () => this.#soon(SETTLE_MS) },
      deps,
    );
  }

  async start(): Promise<void> {
    await this.#watch.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#watch.close();
    await this.#running;
  }

  /** To be called when something outside of objects changed what there is to say. */
  recheck(): void {
    this.#soon(SETTLE_MS);
  }

  #soon(delayMs: number): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = this.#deps.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#running = this.#running.then(() => this.#writeAll());
    });
  }

  async #writeAll(): Promise<void> {
    if (this.#isClosed) return;
    try {
      const findings = new Map(
        [...this.#deps.findings()].map(([object, found]) => [keyOf(object), found]),
      );
      for (const kind of POLICY_KINDS) {
        const { items } = await this.#deps.store.list(kind);
        for (const object of items) await this.#write(object, findings.get(keyOf(object)) ?? []);
      }
      this.#backoff.reset();
    } catch (error) {
      const isChanged =
        isBulwarkError(error, 'API_CONFLICT') || isBulwarkError(error, 'API_NOT_FOUND');
      if (!isChanged) this.#deps.log.warn('the status of policies is not up to date', { error });
      this.#soon(this.#backoff.nextDelayMs());
    }
  }

  async #write(object: ApiObject, found: readonly Diagnostic[]): Promise<void> {
    const status = (object as { readonly status?: IstioStatus }).status ?? {};
    const conditions = status.conditions ?? [];
    const before = conditions.find(({ type }) => type === CONDITION);
    const said = found.length === 0 ? undefined : conditionOf(object, found);
    const { lastTransitionTime, ...same } = before ?? {};
    if (isDeepStrictEqual(before && same, said)) return;
    const others = conditions.filter(({ type }) => type !== CONDITION);
    const since = lastTransitionTime ?? new Date(this.#deps.clock.now()).toISOString();
    const next = said ? [...others, { ...said, lastTransitionTime: since }] : others;
    const changed = { ...object, status: { ...status, conditions: next } };
    await this.#deps.store.updateStatus(changed);
  }
}

function keyOf({ apiVersion, kind, metadata }: ApiObject): string {
  const id = kindOf(apiVersion, kind)?.id ?? kind;
  return `${id}/${metadata.namespace ?? ''}/${metadata.name}`;
}

function conditionOf({ metadata }: ApiObject, found: readonly Diagnostic[]): Condition {
  const sorted = SEVERITIES.flatMap((severity) => found.filter((one) => one.severity === severity));
  const shown = sorted
    .slice(0, LIMITS.diagnosticsPerObjectMax)
    .map(({ field, message, remedy }) => {
      const where = field === '' ? '' : `${field}: `;
      return `${where}${message}${remedy === undefined ? '' : ` (${remedy})`}`;
    });
  const { generation } = metadata;
  return {
    type: CONDITION,
    status: 'True',
    reason: REASONS[sorted[0]?.severity ?? 'info'],
    message: shown.join('; '),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}
