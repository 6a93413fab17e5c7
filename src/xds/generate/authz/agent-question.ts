import { createHash } from 'node:crypto';
import { LIMITS } from '#base/limits.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition, Tests } from '#policy/authz/condition.ts';
import { escapePattern } from '#policy/authz/pattern.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';

/** Where the filter that asks leaves what it was told. */
export const EXT_AUTHZ = 'envoy.filters.http.ext_authz';

/** What the agent beside a proxy is asked to work out of requests. */
export interface AgentQuestion {
  /** Requests that it is asked about: those that one of these matches. */
  readonly rules: readonly CompiledRule[];
  /**
   * The expressions by the names of their values, as the agent reads them: JSON in base64url, for
   * the metadata of the call.
   */
  readonly program: string;
  /** The headers that the expressions name, in lower case. */
  readonly headers: readonly string[];
}

type Computed = Condition & { readonly on: 'computed' };

const questions = new WeakMap<WorkloadAuthorization, AgentQuestion | undefined>();

/**
 * What an agent must be asked so that the rules of a workload can be decided; undefined when they
 * can without. Also when it is too much to be asked: then nothing is told, and what the rules cover
 * is denied.
 */
export function agentQuestion(authorization: WorkloadAuthorization): AgentQuestion | undefined {
  if (!questions.has(authorization)) questions.set(authorization, questionOf(authorization));
  return questions.get(authorization);
}

/** Whether the agent beside a proxy is asked about requests. */
export function asksAgent(
  { agentSocket }: Pick<ProxyNode, 'agentSocket'>,
  authorization: WorkloadAuthorization,
): boolean {
  return agentSocket !== undefined && agentQuestion(authorization) !== undefined;
}

function questionOf({ http }: WorkloadAuthorization): AgentQuestion | undefined {
  const rules = (http.deny.enforced ?? []).filter((rule) => computedOf(rule).length > 0);
  if (rules.length === 0) return undefined;
  const expressions = [
    ...new Set(rules.flatMap(computedOf).map(({ expression }) => expression)),
  ].sort();
  const values = Object.fromEntries(expressions.map((one) => [computedKey(one), one]));
  const program = Buffer.from(JSON.stringify(values)).toString('base64url');
  if (program.length > LIMITS.mixerProgramCharactersMax) return undefined;
  // Without what the agent tells, they match more: it is asked wherever it may matter.
  const wider = rules.map((rule) => ({
    ...rule,
    operations: rule.operations.map((clause) => clause.filter(({ on }) => on !== 'computed')),
  }));
  const distinct = new Map(
    wider.map((rule) => [JSON.stringify([rule.sources, rule.operations]), rule]),
  );
  return {
    rules: [...distinct.values()],
    program,
    headers: [...new Set(expressions.flatMap(headersIn))].sort(),
  };
}

function computedOf({ operations }: CompiledRule): readonly Computed[] {
  return operations.flat().filter((one): one is Computed => one.on === 'computed');
}

/** Attributes that are read from headers. */
const HEADERS_OF: Readonly<Record<string, string>> = {
  'request.useragent': 'user-agent',
  'request.referer': 'referer',
  'request.id': 'x-request-id',
  'context.protocol': 'content-type',
};

/** The headers that an expression may name: also in its texts, for names that it puts together. */
function headersIn(expression: string): readonly string[] {
  const texts = [...expression.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => text);
  const named = Object.entries(HEADERS_OF).filter(([name]) => expression.includes(name));
  return [...texts.map((text) => text.toLowerCase()), ...named.map(([, header]) => header)].filter(
    (name) => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name),
  );
}

/** The name under which the value of an expression is told. */
export function computedKey(expression: string): string {
  return createHash('sha256').update(expression).digest('base64url').slice(0, 22);
}

/** Before each value, so that an empty one is not like none. */
const MARK = '=';

/** What is asked of the value as it is told. */
export function computedMatches({ values, notValues }: Computed): {
  readonly values: readonly TextMatch[];
  readonly notValues: readonly TextMatch[];
} {
  return { values: values.map(marked), notValues: notValues.map(marked) };
}

function marked(match: Tests<TextMatch>['values'][number]): TextMatch {
  switch (match.match) {
    case 'present':
      return { match: 'prefix', value: MARK };
    case 'exact':
    case 'prefix':
      return { match: match.match, value: `${MARK}${match.value}` };
    case 'suffix':
      return { match: 'pattern', value: `${MARK}(?s:.*)${escapePattern(match.value)}` };
    case 'pattern':
      return { match: 'pattern', value: `${MARK}(?:${match.value})` };
  }
}
