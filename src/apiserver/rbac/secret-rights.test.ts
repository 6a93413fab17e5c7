// Which Secrets an account may read, by roles of a store, and when an answer changes.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DEFAULT_BINDINGS, DEFAULT_ROLES } from '#apiserver/rbac/default-roles.ts';
import { Rbac } from '#apiserver/rbac/rbac.ts';
import { secretRights } from '#apiserver/rbac/secret-rights.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const API = 'apiVersion: rbac.authorization.k8s.io/v1';
const REF = 'apiGroup: rbac.authorization.k8s.io';
const role = (rule: string) =>
  `${API}\nkind: Role\nmetadata: { name: r, namespace: edge }\nrules: [${rule}]\n`;
const bound = (ref: string, subject: string) =>
  `${API}\nkind: RoleBinding\nmetadata: { name: b, namespace: edge }\n` +
  `roleRef: { ${REF}, ${ref} }\nsubjects: [${subject}]\n`;
const GATE = '{ kind: ServiceAccount, name: gate }';
const MINE = 'kind: Role, name: r';
const rule = (verbs: string, more = '') =>
  `{ apiGroups: [''], resources: [secrets], verbs: [${verbs}]${more} }`;

async function started(test: TestContext) {
  const deps = { clock: new FakeClock(), random: systemRandom, log: silentLogger };
  const store = new MemoryStore(deps);
  const rbac = new Rbac({ roles: DEFAULT_ROLES, bindings: DEFAULT_BINDINGS }, { ...deps, store });
  test.after(() => rbac.close());
  await rbac.start();
  const rights = secretRights(rbac.authorizer, (listener) => rbac.onChange(listener));
  const make = async (...texts: string[]) => {
    for (const object of texts.flatMap((text) => objectsOf(text))) await store.create(object);
  };
  const may = (secret: string, serviceAccount = 'gate', namespace = 'edge') =>
    rights.mayRead({ namespace, serviceAccount }, secret);
  return { store, rights, make, may };
}

describe('the right of a service account to Secrets', () => {
  it('is nobody’s by itself', async (t) => {
    const { may } = await started(t);
    assert.equal(may('cert'), false);
    assert.equal(may('cert', 'default', 'kube-system'), false);
  });

  it('comes with a role to list them, in its namespace and for this account', async (t) => {
    const { make, may } = await started(t);
    await make(role(rule('list')), bound(MINE, GATE));
    assert.equal(may('cert'), true);
    assert.equal(may('other'), true);
    assert.equal(may('cert', 'other'), false);
    assert.equal(may('cert', 'gate', 'shop'), false);
  });

  it('comes with a role to get one, for that one', async (t) => {
    const { make, may } = await started(t);
    await make(role(rule('get', ', resourceNames: [cert]')), bound(MINE, GATE));
    assert.equal(may('cert'), true);
    assert.equal(may('cert-cacert'), false);
  });

  it('comes with the role for gateways, and not with that of agents', async (t) => {
    const { make, may, store } = await started(t);
    await make(bound("kind: ClusterRole, name: 'bulwark:agent'", GATE));
    assert.equal(may('cert'), false);
    const kind = 'rolebindings.rbac.authorization.k8s.io';
    await store.delete({ kind, namespace: 'edge', name: 'b' });
    await make(bound("kind: ClusterRole, name: 'bulwark:gateway'", GATE));
    assert.equal(may('cert'), true);
  });

  it('does not come with other rights', async (t) => {
    const { make, may } = await started(t);
    const other = "{ apiGroups: [''], resources: [configmaps], verbs: ['*'] }";
    await make(role(`${rule('watch, update, delete')}, ${other}`), bound(MINE, GATE));
    assert.equal(may('cert'), false);
  });

  it('is told of when it may have changed, and is gone with its binding', async (t) => {
    const { make, may, rights, store } = await started(t);
    let timesTold = 0;
    rights.onChange(() => {
      timesTold += 1;
    });
    await make(role(rule('get')), bound(MINE, GATE));
    assert.equal(timesTold, 2);
    assert.equal(may('cert'), true);
    const kind = 'rolebindings.rbac.authorization.k8s.io';
    await store.delete({ kind, namespace: 'edge', name: 'b' });
    assert.equal(timesTold, 3);
    assert.equal(may('cert'), false);
  });
});
