import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterRole, RoleSelector } from '#api/kinds/cluster-role.ts';
import { withAggregatedRules } from '#apiserver/rbac/aggregate.ts';

const ruleOn = (resource: string) => ({ verbs: ['get'], apiGroups: [''], resources: [resource] });

function role(name: string, labels: Record<string, string> = {}, resource = name): ClusterRole {
  const metadata = { name, labels };
  const rules = [ruleOn(resource)];
  return { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules };
}

/** Resources that a role with these selectors collects. */
function collected(roles: readonly ClusterRole[], ...clusterRoleSelectors: RoleSelector[]) {
  const collector = { ...role('collector', { a: '1' }), aggregationRule: { clusterRoleSelectors } };
  const found = withAggregatedRules(collector, [...roles, collector]) ?? collector;
  return (found.rules ?? []).flatMap(({ resources = [] }) => resources);
}

describe('a role that collects', () => {
  const roles = [
    role('y', { a: '2' }),
    role('x', { a: '1' }),
    role('z'),
    role('w', { a: '1' }, 'x'),
  ];
  const by = (operator: string, ...values: string[]): RoleSelector => ({
    matchExpressions: [{ key: 'a', operator, values }],
  });

  it('has the rules of those that it selects, by name, each once, and never its own', () => {
    assert.deepEqual(collected(roles, { matchLabels: { a: '1' } }), ['x']);
    assert.deepEqual(collected(roles, {}), ['x', 'y', 'z']);
    assert.deepEqual(collected(roles, by('Exists')), ['x', 'y']);
    assert.deepEqual(collected(roles, by('DoesNotExist')), ['z']);
    assert.deepEqual(collected(roles, by('In', '2', '3')), ['y']);
    assert.deepEqual(collected(roles, by('NotIn', '1')), ['y', 'z']);
    assert.deepEqual(collected(roles, by('In', '2'), by('DoesNotExist')), ['y', 'z']);
  });

  it('loses its rules when nothing is selected, or by what nobody knows', () => {
    assert.deepEqual(collected(roles, { matchLabels: { b: '1' } }), []);
    assert.deepEqual(collected(roles, by('Is', '1')), []);
    assert.deepEqual(collected(roles, { matchLabels: { constructor: 'x' } }), []);
  });

  it('is left alone when it has them, as is one that does not collect', () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: '2' } }] };
    const complete = { ...role('c', {}, 'y'), aggregationRule };
    assert.equal(withAggregatedRules(complete, roles), undefined);
    assert.equal(withAggregatedRules(role('plain'), roles), undefined);
  });
});
