import { isDeepStrictEqual } from 'node:util';
import type { AccessRule } from '#api/kinds/access-rules.ts';
import type { ClusterRole, RoleSelector } from '#api/kinds/cluster-role.ts';

/**
 * The rules that an aggregating ClusterRole has by those of the roles that it selects, in the order
 * of their names, each once; undefined when the role does not aggregate.
 */
function aggregatedRules(
  role: ClusterRole,
  roles: readonly ClusterRole[],
): readonly AccessRule[] | undefined {
  if (!role.aggregationRule) return undefined;
  const sorted = roles
    .filter(({ metadata }) => metadata.name !== role.metadata.name)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules: AccessRule[] = [];
  const known = new Set<string>();
  for (const selector of role.aggregationRule.clusterRoleSelectors ?? []) {
    for (const other of sorted.filter((one) => selects(selector, one))) {
      for (const rule of other.rules ?? []) {
        const key = JSON.stringify(rule);
        if (!known.has(key)) rules.push(rule);
        known.add(key);
      }
    }
  }
  return rules;
}

/** The role with the rules that it should have; undefined when it has them. */
export function withAggregatedRules(
  role: ClusterRole,
  roles: readonly ClusterRole[],
): ClusterRole | undefined {
  const rules = aggregatedRules(role, roles);
  if (!rules || isDeepStrictEqual(rules, role.rules ?? [])) return undefined;
  return { ...role, rules: rules.length === 0 ? null : rules };
}

function selects(
  { matchLabels = {}, matchExpressions = [] }: RoleSelector,
  { metadata: { labels = {} } }: ClusterRole,
): boolean {
  const label = (key: string): string | undefined =>
    Object.hasOwn(labels, key) ? labels[key] : undefined;
  return (
    Object.entries(matchLabels).every(([key, value]) => label(key) === value) &&
    matchExpressions.every(({ key = '', operator, values = [] }) => {
      const value = label(key);
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      const isIn = value !== undefined && values.includes(value);
      return operator === 'NotIn' ? !isIn : operator === 'In' && isIn;
    })
  );
}
