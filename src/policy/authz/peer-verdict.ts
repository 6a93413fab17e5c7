import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition, OperationCondition, SourceCondition } from '#policy/authz/condition.ts';
import type { TrafficRules } from '#policy/authz/selection.ts';

/** A condition that is about nothing but the identity of the caller. */
export type PeerCondition = Extract<
  SourceCondition,
  { readonly on: 'principal' | 'namespace' | 'serviceAccount' | 'trustDomain' }
>;

/** Callers of whom all conditions of one of the clauses hold. */
export type PeerTest = readonly Clause<PeerCondition>[];

/** One step of a verdict: what becomes of callers that pass its test. */
export interface PeerStep {
  /** The rule that denies them; undefined = they are let through. */
  readonly deniedBy: CompiledRule | undefined;
  readonly test: PeerTest;
}

/** What is said of callers by their identity alone, before they sent anything. */
export interface PeerVerdict {
  /** In this order; the first that fits counts. */
  readonly steps: readonly PeerStep[];
  /** Whether callers that no step fits are let through. */
  readonly othersPass: boolean;
}

const PEER = new Set<Condition['on']>(['principal', 'namespace', 'serviceAccount', 'trustDomain']);
const EVERYBODY: PeerTest = [[]];

/**
 * What rules for connections to a port say of callers by identity and port alone. Where they also
 * depend on something else, such as an address, callers are let through here, for the rules as a
 * whole to judge them at their first byte.
 */
export function peerVerdict({ deny, allow }: TrafficRules, port: number): PeerVerdict {
  const denying = (deny.enforced ?? []).flatMap((rule): PeerStep[] => {
    const test = certainly(rule, port);
    return test.length === 0 ? [] : [{ deniedBy: rule, test }];
  });
  const allowing = (allow.enforced ?? []).flatMap((rule): PeerStep[] => {
    const test = possibly(rule, port);
    return test.length === 0 ? [] : [{ deniedBy: undefined, test }];
  });
  return { steps: [...denying, ...allowing], othersPass: allow.enforced === undefined };
}

/** Whether a rule says nothing of what is known only later. */
export function isDecidedByPeer({ sources, operations }: CompiledRule): boolean {
  return sources.flat().every(isPeerCondition) && operations.flat().every(isAbout);
}

/** Callers whom the rule matches whatever else is so. */
function certainly({ sources, operations }: CompiledRule, port: number): PeerTest {
  if (!operations.some((clause) => clause.every((one) => isAbout(one) && holds(one, port))))
    return [];
  const tests = sources.filter((clause) => clause.every(isPeerCondition));
  return tests.some((clause) => clause.length === 0) ? EVERYBODY : (tests as PeerTest);
}

/** Callers whom the rule may match. */
function possibly({ sources, operations }: CompiledRule, port: number): PeerTest {
  if (!operations.some((clause) => clause.every((one) => !isAbout(one) || holds(one, port))))
    return [];
  const tests = sources.map((clause) => clause.filter(isPeerCondition));
  return tests.some((clause) => clause.length === 0) ? EVERYBODY : tests;
}

function isPeerCondition(condition: SourceCondition): condition is PeerCondition {
  return PEER.has(condition.on);
}

/** Whether a condition is about the port alone, so that it can be decided here. */
function isAbout({ on }: OperationCondition): boolean {
  return on === 'port';
}

function holds(condition: OperationCondition, port: number): boolean {
  if (condition.on !== 'port') return false;
  const { values, notValues } = condition;
  return (values.length === 0 || values.includes(port)) && !notValues.includes(port);
}
