import type { Diagnostic } from '#api/diagnostic.ts';
import { LISTED_TYPES } from '#api/kinds/mixer-instance.ts';
import type { ListParams } from '#api/kinds/mixer-list.ts';
import type { MixerRule } from '#api/kinds/mixer-rule.ts';
import type { ApiObject } from '#api/object.ts';
import {
  attributesOf,
  type Expression,
  type ExpressionProblem,
  type Value,
} from '#mixer/expression.ts';
import { ALWAYS, type Formula, FormulaBuilder, NEVER } from '#mixer/formula.ts';
import { isListed, predicateOf } from '#mixer/predicate.ts';
import {
  conditionProblems,
  readCondition,
  readExpression,
  valueProblems,
} from '#mixer/read-expression.ts';
import { type Facts, type List, patternWithin } from '#mixer/reference.ts';
import type { FetchedList } from '#model/fetched-lists.ts';
import { addressInRange, parseAddressRange } from '#policy/authz/address-range.ts';
import type { Denial } from '#policy/authz/compiled-policy.ts';
import { denialOf } from '#policy/authz/mixer/denial.ts';
import {
  declaredAttributes,
  handlerNamed,
  instanceNamed,
  type MixerObjects,
  providedList,
} from '#policy/authz/mixer/mixer-objects.ts';
import { escapePattern } from '#policy/authz/pattern.ts';

/** What an action of a rule denies, of the requests that the rule matches. */
type Check =
  | { readonly denies: 'all'; readonly denial?: Denial | undefined }
  | { readonly denies: 'listed' | 'not listed'; readonly value: Expression; readonly list: List };

/** A rule with what it asks, read. */
export interface ReadRule {
  readonly rule: MixerRule;
  readonly match: readonly Expression[];
  readonly checks: readonly Check[];
  /** The attributes that its expressions name. */
  readonly attributes: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** The objects that reading a rule depends on, the rule first; `undefined` when it asks nobody. */
export function objectsOfRule(rule: MixerRule, objects: MixerObjects): readonly object[] {
  const { namespace = '' } = rule.metadata;
  const all = (rule.spec?.actions ?? []).flatMap(
    ({
      handler: name = '',
      instances = [],
    }): readonly (ApiObject | FetchedEntries | undefined)[] => {
      const handler = handlerNamed(name, namespace, objects);
      return [
        handler?.object,
        providedList(handler, objects)?.list?.entries,
        ...instances.map((instance) => instanceNamed(instance, namespace, objects)?.object),
      ];
    },
  );
  return [rule, declaredAttributes(objects), ...all.map((object) => object ?? MISSING)];
}

type FetchedEntries = NonNullable<FetchedList['entries']>;

const MISSING = {};

/** Reads a rule. What cannot be understood of one that denies denies more, and is told. */
export function readRule(rule: MixerRule, objects: MixerObjects): ReadRule {
  const diagnostics: Diagnostic[] = [];
  const { match = '' } = rule.spec ?? {};
  const checks = (rule.spec?.actions ?? []).flatMap((_, at) =>
    readAction(rule, at, objects, diagnostics),
  );
  const condition = match === '' ? undefined : readCondition(match, declaredAttributes(objects));
  const parts = condition?.parts ?? [];
  const unknown = conditionProblems(parts);
  diagnostics.push(...[...(condition?.problems ?? []), ...unknown].map(takenToHold));
  const values = checks.flatMap((check) => (check.denies === 'all' ? [] : [check.value]));
  const attributes = [...new Set([...parts, ...values].flatMap(attributesOf))];
  return { rule, match: parts, checks, attributes, diagnostics };
}

/** A part of a condition that means nothing to Envoy. */
export function takenToHold({ column, message }: ExpressionProblem): Diagnostic {
  const text = `at column ${column}: ${message}; this part of the condition is taken to hold`;
  return { severity: 'error', field: 'spec.match', message: text };
}

function readAction(
  { metadata, spec }: MixerRule,
  at: number,
  objects: MixerObjects,
  diagnostics: Diagnostic[],
): readonly Check[] {
  const { handler = '', instances = [] } = spec?.actions?.[at] ?? {};
  const field = `spec.actions[${at}]`;
  const tell = (name: string, message: string) =>
    diagnostics.push({ severity: 'error', field: `${field}.${name}`, message });
  const { namespace = '' } = metadata;
  const found = handlerNamed(handler, namespace, objects);
  if (found === undefined) {
    tell('handler', `there is no denier or listchecker "${handler}": nothing is denied by it`);
    return [];
  }
  const provided = providedList(found, objects);
  const entries = provided ? provided.list?.entries : [];
  if (entries === undefined) {
    const { url = '' } = provided?.source ?? {};
    tell(
      'handler',
      `the list of "${handler}" (${shownUrl(url)}) is not there: everything is denied`,
    );
  }
  return instances.map((name, index): Check => {
    const instance = instanceNamed(name, namespace, objects);
    const at = `instances[${index}]`;
    if (instance === undefined) tell(at, `there is no instance "${name}": everything is denied`);
    if ('denier' in found) return { denies: 'all', denial: denialOf(found.object, found.denier) };
    if (instance === undefined || entries === undefined) return DENIES_ALL;
    if (instance.value === undefined) {
      tell(at, `"${name}" has no value to look for in a list: everything is denied`);
      return DENIES_ALL;
    }
    const read = readExpression(instance.value, LISTED_TYPES, declaredAttributes(objects));
    const problems = 'problem' in read ? [read.problem] : valueProblems(read.expression);
    for (const { column, message } of problems)
      tell(at, `"${name}", at column ${column}: ${message}: everything is denied`);
    if ('problem' in read || problems.length > 0) return DENIES_ALL;
    const denies = found.list.blacklist === true ? 'listed' : 'not listed';
    return { denies, value: read.expression, list: listOf(found.list, entries) };
  });
}

const DENIES_ALL: Check = { denies: 'all' };

/** Without its query, which may hold a secret. */
function shownUrl(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

function listOf(
  { entryType = 'STRINGS', overrides: own = [] }: ListParams,
  fetched: readonly string[],
): List {
  const overrides = fetched.length === 0 ? own : [...new Set([...own, ...fetched])];
  switch (entryType) {
    case 'STRINGS':
      return {
        match: 'equals',
        values: overrides,
        has: (value) => overrides.includes(String(value)),
      };
    case 'CASE_INSENSITIVE_STRINGS': {
      const lower = new Set(overrides.map((entry) => entry.toLowerCase()));
      return {
        match: 'pattern',
        values: overrides.map((entry) => `(?i:${escapePattern(entry)})`),
        has: (value) => lower.has(String(value).toLowerCase()),
      };
    }
    case 'REGEX':
      return { match: 'pattern', values: overrides.map(patternWithin), has: () => undefined };
    case 'IP_ADDRESSES':
      return { match: 'block', values: overrides, has: (value) => isInBlocks(value, overrides) };
  }
}

function isInBlocks(value: Value, blocks: readonly string[]): boolean {
  return blocks.some((block) => {
    const range = parseAddressRange(block);
    return range !== undefined && addressInRange(range, String(value));
  });
}

/** What callers are told by the handler that is asked first; undefined: what all denials say. */
export function firstDenial({ checks: [first] }: ReadRule): Denial | undefined {
  return first?.denies === 'all' ? first.denial : undefined;
}

/** When a rule denies, as far as can be told beforehand, and what was too much for Envoy. */
export function deniedBy(
  { match, checks }: ReadRule,
  facts: Facts,
): { readonly when: Formula; readonly problems: readonly ExpressionProblem[] } {
  const builder = new FormulaBuilder();
  const problems: ExpressionProblem[] = [];
  const denied = checks.map((check): Formula => {
    if (check.denies === 'all') return ALWAYS;
    const { when, problems: found } = isListed(check.value, check.list, facts);
    problems.push(...found);
    if (found.length > 0) return ALWAYS;
    return check.denies === 'listed' ? when : builder.not(when);
  });
  const any = denied.reduce((one, other) => builder.or(one, other), NEVER);
  const { when, problems: found } = predicateOf(match, facts);
  problems.push(...found);
  const both = builder.and(when, any);
  // The rule's own condition covers more than both.
  return { when: builder.isOverflown ? when : both, problems };
}
