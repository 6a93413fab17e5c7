import { computedValue } from '#policy/authz/computed-value.ts';
import type { Condition, PathMatch, RequestPrincipalMatch } from '#policy/authz/condition.ts';
import { conditionHolds } from '#policy/authz/condition-test.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';

/** What a condition asks for, and what a request has in its place; all as users write it. */
export interface ConditionText {
  /** The values that are asked for. */
  readonly asked: readonly string[];
  /** The excluded values that the request has. */
  readonly excluded: readonly string[];
  /** What the request has; undefined = nothing. */
  readonly given: string | undefined;
}

/** Puts a condition, and what a request has of its attribute, into words. */
export function conditionText(condition: Condition, facts: AuthzFacts): ConditionText {
  return {
    asked: valueWords(condition),
    excluded: excludedTexts(condition, facts),
    given: given(condition, facts),
  };
}

/** The values of a condition as a policy writes them. */
export function valueWords(condition: Condition): readonly string[] {
  switch (condition.on) {
    case 'principal':
    case 'namespace':
    case 'trustDomain':
    case 'claim':
    case 'header':
    case 'host':
    case 'method':
    case 'computed':
    case 'serverName':
      return condition.values.map(textOf);
    case 'path':
      return condition.values.map(pathText);
    case 'serviceAccount':
      return condition.values.map(({ namespace, name }) => `${namespace}/${name}`);
    case 'requestPrincipal':
      return condition.values.map(requestPrincipalText);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return condition.values.map(({ address, prefixLength }) => `${address}/${prefixLength}`);
    case 'port':
      return condition.values.map(String);
    case 'metadata':
      return condition.values.map(({ text }) => textOf(text));
  }
}

/** The values that a condition excludes, as a policy writes them. */
export function excludedWords(condition: Condition): readonly string[] {
  return eachExcluded(condition).flatMap(valueWords);
}

/** Those of them that a request has. */
function excludedTexts(condition: Condition, facts: AuthzFacts): readonly string[] {
  return eachExcluded(condition)
    .filter((one) => conditionHolds(one, facts))
    .flatMap(valueWords);
}

/** Each excluded value as the only one that is asked for. */
function eachExcluded(condition: Condition): readonly Condition[] {
  return condition.notValues.map(
    (value) => ({ ...condition, values: [value], notValues: [] }) as unknown as Condition,
  );
}

function given(condition: Condition, facts: AuthzFacts): string | undefined {
  const [, trustDomain, namespace, account] =
    /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/(.+)$/.exec(facts.identity) ?? [];
  switch (condition.on) {
    case 'principal':
      return principalOf(condition, facts) || undefined;
    case 'namespace':
      return namespace;
    case 'trustDomain':
      return trustDomain;
    case 'serviceAccount':
      return account && `${namespace}/${account}`;
    case 'requestPrincipal':
      return endUser(facts.claims);
    case 'claim':
      return shown(condition.path.reduce(member, facts.claims));
    case 'metadata':
      return shown([condition.filter, condition.key].reduce(member, facts.metadata as unknown));
    case 'header':
      return facts.header(condition.name).join(', ') || undefined;
    case 'computed':
      return computedValue(condition, facts);
    case 'port':
      return String(facts.port);
    default:
      return facts[condition.on === 'remoteIp' ? 'remoteIp' : condition.on] || undefined;
  }
}

function principalOf(condition: Condition, { endUser, identity }: AuthzFacts): string {
  const peer = identity.replace(/^spiffe:\/\//, '');
  return 'ofPeer' in condition ? peer : (endUser ?? peer);
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

function endUser(claims: unknown): string | undefined {
  const issuer = member(claims, 'iss');
  const subject = member(claims, 'sub');
  return issuer === undefined ? undefined : `${String(issuer)}/${String(subject ?? '')}`;
}

function shown(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  return [value].flat().every((one) => typeof one === 'string')
    ? [value].flat().join(', ')
    : JSON.stringify(value);
}

function textOf(match: TextMatch): string {
  const { value } = match as { readonly value?: string };
  if (value === undefined) return '*';
  switch (match.match) {
    case 'exact':
      return value;
    case 'prefix':
      return `${value}*`;
    case 'suffix':
      return `*${value}`;
    default:
      return `/${value}/`;
  }
}

function pathText(match: PathMatch): string {
  return match.match === 'template'
    ? match.template.text.replaceAll(/\*+/g, (stars) => `{${stars}}`)
    : textOf(match);
}

function requestPrincipalText({ issuer, subject }: RequestPrincipalMatch): string {
  if (issuer.match === 'present' && subject.match === 'present') return '*';
  return `${textOf(issuer)}/${textOf(subject)}`;
}
