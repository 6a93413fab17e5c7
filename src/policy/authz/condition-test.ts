import { addressInRange } from '#policy/authz/address-range.ts';
import { computedValue } from '#policy/authz/computed-value.ts';
import type { Condition, PathMatch, Tests } from '#policy/authz/condition.ts';
import {
  escapePattern,
  hostPattern,
  namespacePattern,
  serviceAccountPattern,
  templatePattern,
  trustDomainPattern,
} from '#policy/authz/pattern.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import { type TextMatch, textMatches } from '#policy/authz/text-match.ts';

/** Whether a request meets a condition: one of its values, and none of its `not` values. */
export function conditionHolds(condition: Condition, facts: AuthzFacts): boolean {
  switch (condition.on) {
    case 'principal':
      return holds(condition, (match) =>
        principalMatches(match, condition.ofPeer ? { ...facts, endUser: undefined } : facts),
      );
    case 'namespace': {
      const { anchored } = condition;
      return holds(condition, (match) =>
        patternMatches(match, facts.identity, () => namespacePattern(match, anchored)),
      );
    }
    case 'serviceAccount': {
      const { anchored } = condition;
      return holds(condition, (match) =>
        patternMatches(match, facts.identity, () => serviceAccountPattern(match, anchored)),
      );
    }
    case 'trustDomain':
      return holds(condition, (match) =>
        patternMatches(match, facts.identity, () => trustDomainPattern(match)),
      );
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return holds(condition, (range) => addressInRange(range, facts[condition.on]));
    case 'port':
      return holds(condition, (port) => port === facts.port);
    case 'serverName':
      return holds(condition, (match) => textMatches(match, facts.serverName));
    case 'host':
      return holds(condition, (match) => hostMatches(match, facts, condition.portIgnored));
    case 'method':
      return holds(condition, (match) => textMatches(match, facts.method));
    case 'path':
      return holds(condition, (match) => pathMatches(match, facts.path));
    case 'header': {
      const values = facts.header(condition.name);
      return holds(condition, (match) => headerMatches(match, values));
    }
    case 'requestPrincipal':
      return holds(
        condition,
        ({ issuer, subject }) =>
          isTextThat(issuer, valueAt(facts.claims, ['iss'])) &&
          isTextThat(subject, valueAt(facts.claims, ['sub'])),
      );
    case 'claim': {
      const { path, literals } = condition;
      const claim = valueAt(facts.claims, path);
      return holds(condition, (match) =>
        [claim].flat().some((one) => isTextThat(match, one) || (literals && isLiteral(match, one))),
      );
    }
    case 'computed': {
      const value = computedValue(condition, facts);
      return holds(
        condition,
        (match) => value !== undefined && (match.match === 'present' || textMatches(match, value)),
      );
    }
    case 'metadata': {
      const value = valueAt(facts.metadata, [condition.filter, condition.key]);
      return holds(condition, ({ inList, text }) =>
        inList ? listHas(text, value) : isTextThat(text, value),
      );
    }
  }
}

function holds<M>({ values, notValues }: Tests<M>, matches: (match: M) => boolean): boolean {
  return (values.length === 0 || values.some(matches)) && !notValues.some(matches);
}

/** Expressions by the match that they come from. */
const expressions = new WeakMap<object, RegExp>();

function patternMatches(match: object, text: string, pattern: () => string): boolean {
  const known = expressions.get(match);
  if (known !== undefined) return known.test(text);
  const expression = new RegExp(`^(?:${pattern()})$`);
  expressions.set(match, expression);
  return expression.test(text);
}

const SCHEME = 'spiffe://';

function principalMatches(match: TextMatch, { identity, endUser }: AuthzFacts): boolean {
  if (endUser !== undefined)
    return match.match === 'present' ? endUser !== '' : textMatches(match, endUser);
  if (match.match === 'present') return identity !== '';
  if (!identity.startsWith(SCHEME)) return false;
  if (match.match !== 'suffix') return textMatches(match, identity.slice(SCHEME.length));
  return patternMatches(match, identity, () => `spiffe://.*${escapePattern(match.value)}`);
}

function hostMatches(match: TextMatch, facts: AuthzFacts, portIgnored: boolean): boolean {
  if (match.match === 'present') return facts.header(':authority').length > 0;
  if (portIgnored) return patternMatches(match, facts.host, () => hostPattern(match));
  return textMatches({ ...match, value: lowerCase(match.value) }, lowerCase(facts.host));
}

/** Letters of ASCII only, as Envoy compares. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function pathMatches(match: PathMatch, path: string): boolean {
  if (match.match !== 'template') return textMatches(match, path);
  return patternMatches(match, path, () => templatePattern(match.template));
}

function headerMatches(match: TextMatch, values: readonly string[]): boolean {
  if (match.match === 'present') return values.length > 0;
  return values.some((value) => textMatches(match, value));
}

/** The value under a path of keys, which leads through no list; undefined when there is none. */
function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

function isTextThat(match: TextMatch, value: unknown): boolean {
  return typeof value === 'string' && textMatches(match, value);
}

/** Whether a number or a boolean has this text, or has one at all. */
function isLiteral(match: TextMatch, found: unknown): boolean {
  if (typeof found !== 'number' && typeof found !== 'boolean') return false;
  return match.match === 'present' || (match.match === 'exact' && String(found) === match.value);
}

function listHas(match: TextMatch, value: unknown): boolean {
  return Array.isArray(value) && value.some((element) => isTextThat(match, element));
}
