import { parseTextMatch, textMatches } from '#policy/authz/text-match.ts';
import { expandPrincipal } from '#policy/authz/trust-domain.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { AuthnCheck } from './row.ts';

interface AliasFields {
  readonly trustDomainBundle: { readonly trustDomain: string; readonly aliases: readonly string[] };
  readonly principals: readonly string[];
  readonly expect: readonly string[];
}

/** Principals of policies → the principals that they stand for. */
const replaceAliases: AuthnCheck = ({ fields }) => {
  const { trustDomainBundle, principals, expect } = fields as unknown as AliasFields;
  const { trustDomain, aliases } = trustDomainBundle;
  const found = principals.flatMap((one) => expandPrincipal(one, [trustDomain, ...aliases]));
  return jsonDifference(expect, [...new Set(found)]);
};

/** A trust domain of which no row speaks. */
const OTHER = 'other.test';

/** The trust domain that a principal names, if replacing it by another says something else. */
function trustDomainOf(principal: string): string {
  const [first = '', second = ''] = principal.split('/').filter((part) => part !== '');
  const named = first.endsWith(':') ? second : first;
  const [replaced] = expandPrincipal(principal, [OTHER, named]);
  return replaced !== principal && replaced?.startsWith(`${OTHER}/`) ? named : '';
}

/** A principal in another trust domain; one of a wrong form stands for itself. */
const replaceOne: AuthnCheck = ({ fields }) => {
  const { principal, trustDomain = OTHER, out, expectedError } = fields as Record<string, string>;
  const own = principal?.split('/', 1)[0] ?? '';
  const [found] = expandPrincipal(principal ?? '', [trustDomain, own]);
  return jsonDifference(expectedError ? principal : out, found);
};

const namedTrustDomain: AuthnCheck = ({ fields }) =>
  jsonDifference(fields.out ?? '', trustDomainOf(String(fields.principal ?? '')));

const isEnforced: AuthnCheck = ({ fields }) =>
  jsonDifference(fields.want ?? false, trustDomainOf(String(fields.principal ?? '')) !== '');

/** Texts with a wildcard on either side. */
const stringMatch: AuthnCheck = ({ fields }) => {
  const {
    element = '',
    list = [],
    expected = false,
  } = fields as {
    readonly element?: string;
    readonly list?: readonly string[] | null;
    readonly expected?: boolean;
  };
  const matches = (pattern: string, text: string) => textMatches(parseTextMatch(pattern), text);
  const found = (list ?? []).some((one) => matches(element, one) || matches(one, element));
  return jsonDifference(expected, found);
};

/** Rows about trust domains in principals. */
export const TRUST_DOMAIN_CHECKS: Readonly<Record<string, AuthnCheck>> = {
  TestReplaceTrustDomainAliases: replaceAliases,
  TestReplaceTrustDomainInPrincipal: replaceOne,
  TestGetTrustDomainFromSpiffeIdentity: namedTrustDomain,
  TestIsTrustDomainBeingEnforced: isEnforced,
  TestStringMatch: stringMatch,
};
