import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { readyRules, ruleAllows } from '#apiserver/rbac/rule.ts';
import { MESH_ROLES } from '#controlplane/access-roles.ts';

const reads = (role: string, path: string): boolean => {
  const found = MESH_ROLES.find(({ metadata }) => metadata.name === role);
  const access = { type: 'path', verb: 'get', path } as const;
  return readyRules(found?.rules).some((rule) => ruleAllows(rule, access));
};

it('who looks after the mesh sees its state, an auditor what was done, neither makes users', () => {
  const paths = Object.values(ADMIN_PATHS);
  const ofAuditor = [ADMIN_PATHS.audit, ADMIN_PATHS.traffic];
  for (const path of paths) {
    const isForAuditor = ofAuditor.some((one) => one === path);
    assert.equal(reads('bulwark:auditor', path), isForAuditor, path);
    const isForViewer = !isForAuditor && path !== ADMIN_PATHS.users;
    assert.equal(reads('bulwark:mesh-viewer', path), isForViewer, path);
  }
  const verbs = new Set(MESH_ROLES.flatMap(({ rules }) => rules?.flatMap((rule) => rule.verbs)));
  assert.deepEqual([...verbs].sort(), ['get', 'list', 'watch']);
});
