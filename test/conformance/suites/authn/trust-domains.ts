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

/** Rows about trust domains in principals. */
export const TRUST_DOMAIN_CHECKS: Readonly<Record<string, AuthnCheck>> = {
  TestReplaceTrustDomainAliases: replaceAliases,
};
