import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { LIMITS } from '#base/limits.ts';

/** Ends that a matcher takes for something else when it does not take them literally. */
const ENDS = ['.', '.b', 'x', '+', '|', '(', ')', '[a]', '{2}', '$', '^', '\\Q', '\\', '?a', 'ß'];

/** Texts beside those that callers have, as many as make Envoy get one expression. */
function others(base: string): readonly string[] {
  const numbered = Array.from({ length: LIMITS.authzFoldedTextsMin }, (_, at) => `${base}-${at}`);
  return [...ENDS.map((end) => base + end), ...numbered];
}

const PRINCIPALS = [...others('cluster.local/ns/foo/sa/a'), ...others('other.example/ns/bar/sa')];
const PATHS = [...others('/admin'), ...others('/a/')];

const NAMESPACES = [...others('foo'), ...others('ba')];
const SERVICE_ACCOUNTS = [...others('a'), ...others('bar/fo')].filter(
  (account) => !account.includes('*'),
);

const OTHERS: Readonly<Record<string, readonly string[]>> = {
  principals: PRINCIPALS,
  notPrincipals: PRINCIPALS,
  namespaces: NAMESPACES,
  notNamespaces: NAMESPACES,
  serviceAccounts: SERVICE_ACCOUNTS,
  notServiceAccounts: SERVICE_ACCOUNTS,
  paths: PATHS,
  notPaths: PATHS,
};

/** The same policies with many more principals, namespaces, accounts and paths in every list. */
export function enlarged(policies: readonly AuthorizationPolicy[]): AuthorizationPolicy[] {
  return policies.map((policy) => enlargedIn(policy) as AuthorizationPolicy);
}

function enlargedIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(enlargedIn);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([field, part]) => {
    const more = OTHERS[field];
    return [field, more && Array.isArray(part) ? [...part, ...more] : enlargedIn(part)];
  });
  return Object.fromEntries(entries);
}
