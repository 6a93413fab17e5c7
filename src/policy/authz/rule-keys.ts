import type { Clause } from '#policy/authz/compiled-policy.ts';
import type { Condition, PathMatch } from '#policy/authz/condition.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';

// A key stands for something that a request has. A condition has keys when whatever meets it has
// one of them; the other way round need not hold, for the rule is tried in full.

/** What keys are about. */
export const KEY_KINDS = [
  'principal',
  'namespace',
  'account',
  'user',
  'host',
  'path',
  'prefix',
  'port',
] as const;

/** One of them. */
export type KeyKind = (typeof KEY_KINDS)[number];

/** A key, of one kind. */
export interface RuleKey {
  readonly kind: KeyKind;
  readonly text: string;
}

/** Identities are looked for as they are; policies leave this out. */
const SCHEME = 'spiffe://';
/** Hosts whose spellings are known: any letter case, a dot at the end, a port. */
const PLAIN_HOST = /^[\w-]+(?:\.[\w-]+)*(?::\d+)?$/;
const HOST_END = /\.?(?::\d*)?$/;

/** For each condition of a clause that has keys, these. */
export function clauseKeys(clause: Clause<Condition>): readonly (readonly RuleKey[])[] {
  return clause.flatMap((condition) => {
    const keys = conditionKeys(condition);
    return keys === undefined || keys.length === 0 ? [] : [keys];
  });
}

function conditionKeys(condition: Condition): readonly RuleKey[] | undefined {
  switch (condition.on) {
    case 'principal':
      return allOf(condition.values, (match) =>
        match.match === 'exact' ? { kind: 'principal', text: SCHEME + match.value } : undefined,
      );
    case 'namespace':
      return allOf(condition.values, (match) =>
        match.match === 'exact' && !match.value.includes('/')
          ? { kind: 'namespace', text: match.value }
          : undefined,
      );
    case 'serviceAccount':
      return condition.values.map(({ namespace, name }) => {
        return { kind: 'account', text: `${namespace}/${name}` };
      });
    case 'requestPrincipal':
      return allOf(condition.values, ({ issuer, subject }) =>
        issuer.match === 'exact' && subject.match === 'exact'
          ? { kind: 'user', text: `${issuer.value}/${subject.value}` }
          : undefined,
      );
    case 'host':
      return allOf(condition.values, (match) =>
        match.match === 'exact' && PLAIN_HOST.test(match.value)
          ? { kind: 'host', text: hostText(match.value) }
          : undefined,
      );
    case 'path':
      return allOf(condition.values, pathKey);
    case 'port':
      return condition.values.map((port) => ({ kind: 'port', text: `${port}` }));
    default:
      return undefined;
  }
}

/** The key of every value; undefined where one has none. */
function allOf<T>(
  values: readonly T[],
  keyOf: (value: T) => RuleKey | undefined,
): readonly RuleKey[] | undefined {
  const keys = values.flatMap((value) => keyOf(value) ?? []);
  return keys.length === values.length ? keys : undefined;
}

function hostText(host: string): string {
  return host.toLowerCase().replace(HOST_END, '');
}

function pathKey(match: PathMatch): RuleKey | undefined {
  switch (match.match) {
    case 'exact':
      return { kind: 'path', text: match.value };
    case 'prefix':
      return { kind: 'prefix', text: match.value };
    case 'template':
      return { kind: 'prefix', text: match.template.text.split('*', 1)[0] ?? '' };
    default:
      return undefined;
  }
}

/**
 * The keys of a kind that a request has.
 * @param lengths of the keys of the index, ascending
 */
export function factTexts(
  kind: KeyKind,
  facts: AuthzFacts,
  lengths: readonly number[],
): readonly string[] {
  switch (kind) {
    case 'principal': {
      const { identity, endUser } = facts;
      return endUser === undefined ? [identity] : [identity, SCHEME + endUser];
    }
    case 'namespace':
      return segmentsAfter('ns', facts.identity);
    case 'account': {
      // Where expressions are not anchored, an identity may name several places.
      const accounts = segmentsAfter('sa', facts.identity);
      return segmentsAfter('ns', facts.identity).flatMap((namespace) =>
        accounts.map((account) => `${namespace}/${account}`),
      );
    }
    case 'user':
      return userTexts(facts.claims);
    case 'host':
      return [hostText(facts.host)];
    case 'path':
      return [facts.path];
    case 'prefix':
      return lengths
        .filter((length) => length <= facts.path.length)
        .map((length) => facts.path.slice(0, length));
    case 'port':
      return [`${facts.port}`];
  }
}

function segmentsAfter(name: string, identity: string): readonly string[] {
  const segments = identity.split('/');
  return segments.flatMap((segment, at) => (segment === name ? [segments[at + 1] ?? ''] : []));
}

function userTexts(claims: unknown): readonly string[] {
  const { iss, sub } = (claims ?? {}) as { readonly iss?: unknown; readonly sub?: unknown };
  return typeof iss === 'string' && typeof sub === 'string' ? [`${iss}/${sub}`] : [];
}
