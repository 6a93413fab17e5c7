import { isDeepStrictEqual } from 'node:util';
import type { Diagnostic } from '#api/diagnostic.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject } from '#api/object.ts';
import { LIMITS } from '#base/limits.ts';
import { isForAll, isOff, selectorOf } from '#controlplane/selecting.ts';
import type { Behind, SomeNames, Verdict } from '#controlplane/verdict.ts';
import { CONDITION } from '#policy/enforced-kinds.ts';

/** One condition of a status. */
export type Condition = NonNullable<IstioStatus['conditions']>[number];

/** A condition without the time of its last change. */
export type Said = Omit<Condition, 'lastTransitionTime'>;

const SEVERITIES = ['error', 'warning', 'info'] as const;
/** The reason of the condition: the worst of what it says. */
const REASONS = { error: 'Error', warning: 'Warning', info: 'Note' } as const;
/** Characters of what Envoy says about a refusal. */
const WORDS_LENGTH_MAX = 400;

/** How far an object is in force, as conditions. */
export function enforcementConditions(object: ApiObject, verdict: Verdict): readonly Said[] {
  const { generation: observedGeneration } = verdict;
  const about = observedGeneration === undefined ? {} : { observedGeneration };
  return [
    { type: CONDITION.accepted, ...accepted(object, verdict), ...about },
    { type: CONDITION.reconciled, ...reconciled(verdict), ...about },
  ];
}

/** What was found about an object, from worst to least; undefined for nothing. */
export function findingsCondition(
  { metadata }: ApiObject,
  found: readonly Diagnostic[],
): Said | undefined {
  if (found.length === 0) return undefined;
  const sorted = SEVERITIES.flatMap((severity) => found.filter((one) => one.severity === severity));
  const shown = sorted
    .slice(0, LIMITS.diagnosticsPerObjectMax)
    .map(({ field, message, remedy }) => {
      const where = field === '' ? '' : `${field}: `;
      return `${where}${message}${remedy === undefined ? '' : ` (${remedy})`}`;
    });
  const { generation } = metadata;
  return {
    type: CONDITION.findings,
    status: 'True',
    reason: REASONS[sorted[0]?.severity ?? 'info'],
    message: shown.join('; '),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

/**
 * The conditions of an object with what is said now in place of what was said of those types; the
 * same list when that is the same. A condition keeps its time as long as its status holds.
 * @param now milliseconds since 1970
 */
export function mergeConditions(
  before: readonly Condition[],
  said: ReadonlyMap<string, Said | undefined>,
  now: number,
): readonly Condition[] {
  const time = new Date(now).toISOString();
  const next = [...said].flatMap(([type, one]): Condition[] => {
    if (!one) return [];
    const old = before.find((condition) => condition.type === type);
    const since = old?.status === one.status ? old?.lastTransitionTime : undefined;
    return [{ ...one, lastTransitionTime: since ?? time }];
  });
  const others = before.filter(({ type = '' }) => !said.has(type));
  const merged = [...others, ...next];
  const isSame =
    merged.length === before.length &&
    merged.every((one) =>
      isDeepStrictEqual(
        one,
        before.find(({ type }) => type === one.type),
      ),
    );
  return isSame ? before : merged;
}

function accepted(object: ApiObject, { workloads, near }: Verdict): Omit<Said, 'type'> {
  const { count } = workloads;
  if (count > 0) {
    const message = `decides about ${plural(count, 'workload')}: ${named(workloads)}`;
    return { status: 'True', reason: 'Accepted', message };
  }
  if (isOff(object)) return { status: 'True', reason: 'Accepted', message: 'the mode is OFF' };
  const labels = Object.entries(selectorOf(object)).map(([key, value]) => `${key}=${value}`);
  if (isForAll(object)) {
    return { status: 'True', reason: 'NoWorkloads', message: 'there is no workload yet' };
  }
  const which = labels.length === 0 ? '' : `: none has the labels ${labels.join(', ')}`;
  const hint = near.length === 0 ? '' : `; did you mean ${near.join(', ')}?`;
  const message = `decides about no workload${which}${hint}`;
  return { status: 'False', reason: 'ZeroMatch', message };
}

function reconciled(verdict: Verdict): Omit<Said, 'type'> {
  const { workloads, proxies, enforcing, behind, away } = verdict;
  if (workloads.count === 0) {
    return { status: 'Unknown', reason: 'NoWorkloads', message: 'no proxy enforces it' };
  }
  if (proxies === 0) {
    const message = `no proxy enforces it: not connected: ${named(away)}`;
    return { status: 'Unknown', reason: 'NoProxies', message };
  }
  const message = [
    `enforced on ${enforcing} of ${plural(proxies, 'proxy', 'proxies')}`,
    ...behind.map(sentenceOf),
    ...unnamed(proxies - enforcing - behind.length),
    ...(away.count === 0 ? [] : [`not connected: ${named(away)}`]),
  ].join('; ');
  if (enforcing === proxies) return { status: 'True', reason: 'Enforced', message };
  const { why = 'waiting' } = behind[0] ?? {};
  return { status: 'False', reason: BEHIND_REASONS[why], message };
}

const BEHIND_REASONS = { refused: 'Refused', failed: 'Failed', waiting: 'Waiting' } as const;

function sentenceOf({ proxy, why, message }: Behind): string {
  const words = message.replaceAll(/\s+/g, ' ').slice(0, WORDS_LENGTH_MAX);
  if (why === 'refused') return `${proxy} refused it: ${words}`;
  if (why === 'failed') return `nothing could be made for ${proxy}: ${words}`;
  return `${proxy} has not answered yet`;
}

function unnamed(count: number): readonly string[] {
  return count > 0 ? [`and ${plural(count, 'more proxy', 'more proxies')}`] : [];
}

function named({ count, first }: SomeNames): string {
  const rest = count - first.length;
  return rest > 0 ? `${first.join(', ')} and ${rest} more` : first.join(', ');
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
