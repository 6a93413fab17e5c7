import type { Diagnostic } from '#api/diagnostic.ts';
import type { MixerRule } from '#api/kinds/mixer-rule.ts';
import { LIMITS } from '#base/limits.ts';
import type { ExpressionProblem } from '#mixer/expression.ts';
import { factOf } from '#mixer/read-expression.ts';
import type { Facts } from '#mixer/reference.ts';
import type { ServiceIndex } from '#model/service-index.ts';
import type { Workload } from '#model/workload.ts';
import type { AuthzContext, CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import {
  type Condition,
  isOperationCondition,
  isSourceCondition,
} from '#policy/authz/condition.ts';
import { conditionsOf, isOfHttp } from '#policy/authz/mixer/conditions.ts';
import {
  deniedBy,
  firstDenial,
  objectsOfRule,
  type ReadRule,
  readRule,
  takenToHold,
} from '#policy/authz/mixer/mixer-check.ts';
import type { MixerObjects } from '#policy/authz/mixer/mixer-objects.ts';
import {
  factIn,
  isOfService,
  type MixerTarget,
  mixerTargetsOf,
} from '#policy/authz/mixer/mixer-target.ts';
import { SharedByList } from '#policy/shared-by-list.ts';

/** What rules of Mixer are read from. */
export interface MixerSources extends MixerObjects {
  readonly services: ServiceIndex;
}

/** A rule with what it came to for workloads, by what they have in common. */
interface Known extends ReadRule {
  readonly compiled: Map<string, CompiledPolicy | undefined>;
}

const NONE: readonly CompiledPolicy[] = [];
const FIELD = 'spec.match';

/**
 * Finds what rules of Mixer (config.istio.io/v1alpha2) deny to callers of workloads, in the form of
 * DENY policies. It remembers what it compiled by the identity of the objects, so the same rules
 * give the same policies.
 */
export class MixerFinder {
  readonly #context: AuthzContext;
  readonly #read = new SharedByList<object, Known>();

  constructor(context: AuthzContext) {
    this.#context = context;
  }

  /** The policies for a workload: of rules of its namespace and of the root namespace. */
  policiesFor(workload: Workload, sources: MixerSources): readonly CompiledPolicy[] {
    const namespaces = new Set([this.#context.rootNamespace, workload.namespace]);
    const rules = [...namespaces].flatMap((namespace) => sources.mixerRules.in(namespace));
    if (rules.length === 0) return NONE;
    return rules.flatMap((rule) => this.#policyOf(rule, workload, sources) ?? []);
  }

  /** What is wrong with a rule: whatever the workload, and for workloads that asked. */
  diagnosticsOf(rule: MixerRule, sources: MixerObjects): readonly Diagnostic[] {
    const { diagnostics, compiled } = this.#ruleOf(rule, sources);
    const all = [
      ...diagnostics,
      ...[...compiled.values()].flatMap((one) => one?.diagnostics ?? []),
    ];
    return [...new Map(all.map((one) => [one.message, one])).values()];
  }

  #ruleOf(rule: MixerRule, objects: MixerObjects): Known {
    return this.#read.get(objectsOfRule(rule, objects), () => ({
      ...readRule(rule, objects),
      compiled: new Map(),
    }));
  }

  #policyOf(
    rule: MixerRule,
    workload: Workload,
    sources: MixerSources,
  ): CompiledPolicy | undefined {
    const known = this.#ruleOf(rule, sources);
    if (known.checks.length === 0) return undefined;
    const asksForService = known.attributes.some(isOfService);
    const targets = mixerTargetsOf(workload, sources.services, asksForService);
    const key = keyOf(known, targets);
    const { compiled } = known;
    if (compiled.has(key)) return compiled.get(key);
    const policy = compile(known, targets, this.#context);
    // Workloads that are gone are not told from others: the oldest makes room.
    const [oldest] = compiled.keys();
    if (oldest !== undefined && compiled.size >= LIMITS.authzPortMappingsMax)
      compiled.delete(oldest);
    compiled.set(key, policy);
    return policy;
  }
}

/** What a rule depends on of its targets. */
function keyOf({ attributes }: ReadRule, targets: readonly MixerTarget[]): string {
  const values = targets.map(({ ports, facts }) => [
    ports,
    attributes.map((name) => {
      const value = facts.get(name);
      return value instanceof Map ? [...value] : value;
    }),
  ]);
  return JSON.stringify(values);
}

/** Undefined when the rule denies nobody anything. */
function compile(
  known: ReadRule,
  targets: readonly MixerTarget[],
  context: AuthzContext,
): CompiledPolicy | undefined {
  const { name, namespace = '' } = known.rule.metadata;
  const told = new Map(known.diagnostics.map((one) => [one.message, one]));
  const rulesFor = (traffic: 'http' | 'tcp'): readonly CompiledRule[] =>
    targets
      .flatMap((target) => {
        const { clauses, problems } = clausesFor(known, target, traffic, context);
        for (const one of problems.map(takenToHold)) told.set(one.message, one);
        return clauses;
      })
      .map((clause, index) => ({
        name: `ns[${namespace}]-mixer[${name}]-rule[${index}]`,
        namespace,
        policy: name,
        index,
        action: 'DENY',
        sources: [clause.filter(isSourceCondition)],
        operations: [clause.filter(isOperationCondition)],
      }));
  const [http, tcp] = [rulesFor('http'), rulesFor('tcp')];
  if (http.length === 0 && tcp.length === 0) return undefined;
  return {
    kind: 'rule',
    namespace,
    name,
    action: 'DENY',
    provider: undefined,
    dryRun: false,
    target: { kind: 'labels', labels: {} },
    denial: firstDenial(known),
    http,
    tcp,
    diagnostics: [...told.values()],
    tcpDiagnostics: tcp.length > 0 ? [] : [NOTHING_ON_TCP],
  };
}

const NOTHING_ON_TCP: Diagnostic = {
  severity: 'warning',
  field: FIELD,
  message: 'on ports that are not HTTP, it asks for what is absent: it denies nothing there',
};

/** The conditions under which a target's callers are denied. */
function clausesFor(
  known: ReadRule,
  target: MixerTarget,
  traffic: 'http' | 'tcp',
  context: AuthzContext,
): {
  readonly clauses: readonly (readonly Condition[])[];
  readonly problems: readonly ExpressionProblem[];
} {
  const facts: Facts = (attribute) => {
    if (traffic === 'tcp' && isOfHttp({ attribute })) return { known: undefined };
    if (traffic === 'tcp' && attribute === 'context.protocol') return { known: 'tcp' };
    const fact = factOf(attribute, (name) => factIn(target, name));
    // Nobody is asked about plain connections.
    const isAsked = typeof fact === 'object' && 'asked' in fact;
    return isAsked && traffic === 'tcp' ? { ...fact, isTold: false } : fact;
  };
  const { ports } = target;
  const onPorts: readonly Condition[] =
    ports === undefined
      ? []
      : [{ on: 'port', values: ports, notValues: [], field: FIELD, notField: FIELD }];
  if (ports?.length === 0) return { clauses: [], problems: [] };
  const { when, problems } = deniedBy(known, facts);
  const clauses = when.flatMap((clause) => {
    const conditions = conditionsOf(clause, context, FIELD);
    return conditions === undefined ? [] : [[...conditions, ...onPorts]];
  });
  return { clauses, problems };
}
