import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
} from '#api/kinds/authorization-policy.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import {
  authorizationPolicy,
  authorizedWorkload,
  authzContext,
  policyObjects,
} from '../../../test/kit/authorization-policy.ts';

const everything = [{}];

function policy(name: string, namespace: string, spec: AuthorizationPolicySpec) {
  return authorizationPolicy(spec, { name, namespace });
}

function names({ policies }: WorkloadAuthorization): string[] {
  return policies.map(({ namespace, name }) => `${namespace}/${name}`);
}

describe('the authorization of a workload', () => {
  const policies = policyObjects([
    policy('mesh', 'istio-system', {}),
    policy('b', 'foo', {}),
    policy('a', 'foo', { selector: { matchLabels: { app: 'web', tier: 'front' } } }),
    policy('gateway', 'foo', { targetRefs: [{ kind: 'Gateway', name: 'g' }] }),
    policy('other', 'bar', {}),
  ]);
  const authorizer = new Authorizer(authzContext('strict'));

  it('has policies of its namespace and of the root namespace that select it', () => {
    const labels = { app: 'web', tier: 'front', version: 'v1' };
    const authorization = authorizer.authorizationFor(authorizedWorkload({ labels }), policies);
    assert.deepEqual(names(authorization), ['istio-system/mesh', 'foo/a', 'foo/b']);
  });

  it('has no policy of which a label is missing or different', () => {
    for (const labels of [{}, { app: 'web' }, { app: 'web', tier: 'back' }])
      assert.deepEqual(
        names(authorizer.authorizationFor(authorizedWorkload({ labels }), policies)),
        ['istio-system/mesh', 'foo/b'],
      );
  });

  it('of a gateway has what is attached to it, in its namespace, or to its class', () => {
    const group = 'gateway.networking.k8s.io';
    const to = (kind: string, name: string) => ({ targetRefs: [{ kind, name, group }] });
    const attached = policyObjects([
      policy('class', 'istio-system', to('GatewayClass', 'istio')),
      policy('foreign', 'istio-system', to('Gateway', 'g')),
      policy('other', 'foo', to('Gateway', 'h')),
      policy('own', 'foo', to('Gateway', 'g')),
      policy('no-root', 'foo', to('GatewayClass', 'istio')),
    ]);
    const ofLabels = (labels: Readonly<Record<string, string>>) =>
      names(authorizer.authorizationFor(authorizedWorkload({ labels }), attached));
    const [name, className] = [`${group}/gateway-name`, `${group}/gateway-class-name`];
    assert.deepEqual(ofLabels({ [name]: 'g' }), ['foo/own']);
    assert.deepEqual(ofLabels({ [className]: 'istio' }), ['istio-system/class']);
    assert.deepEqual(ofLabels({ app: 'g' }), []);
  });

  it('in the root namespace has each policy once', () => {
    const root = authorizedWorkload({ namespace: 'istio-system' });
    assert.deepEqual(names(authorizer.authorizationFor(root, policies)), ['istio-system/mesh']);
  });

  it('does not mistake what objects inherit for a label', () => {
    const tricky = policyObjects([
      policy('p', 'foo', { selector: { matchLabels: { constructor: 'x' } } }),
    ]);
    assert.deepEqual(names(authorizer.authorizationFor(authorizedWorkload(), tricky)), []);
  });

  it('is the same object for workloads with the same policies, also after others changed', () => {
    const one = authorizer.authorizationFor(authorizedWorkload(), policies);
    const labelled = authorizedWorkload({ labels: { any: 'thing' } });
    assert.equal(authorizer.authorizationFor(labelled, policies), one);
    const changed = withPolicy(policies, policy('other', 'bar', { rules: [{}] }));
    assert.equal(authorizer.authorizationFor(labelled, changed), one);
  });

  it('is another object once one of its policies changed', () => {
    const workload = authorizedWorkload();
    const before = authorizer.authorizationFor(workload, policies);
    const changed = withPolicy(policies, policy('b', 'foo', { rules: [{}] }));
    assert.notEqual(authorizer.authorizationFor(workload, changed), before);
  });
});

/** The same mesh with this policy in place of all others of its namespace. */
function withPolicy(mesh: MeshSnapshot, only: AuthorizationPolicy): MeshSnapshot {
  const list = new Map([[only.metadata.namespace ?? '', [only]]]);
  return { ...mesh, authorizationPolicies: mesh.authorizationPolicies.replace(list) };
}

describe('the rules of a workload', () => {
  function rulesOf(...specs: readonly (readonly [string, AuthorizationPolicySpec])[]) {
    const objects = specs.map(([name, spec]) => policy(name, 'foo', spec));
    const authorizer = new Authorizer(authzContext('istio'));
    return authorizer.authorizationFor(authorizedWorkload(), policyObjects(objects)).http;
  }

  it('of an action without policies are undefined, which is not the same as none', () => {
    const none = rulesOf();
    assert.deepEqual(none.allow, { enforced: undefined, dryRun: undefined });
    const broken = { rules: [{ when: [{ key: 'unknown', values: ['x'] }] }] };
    assert.deepEqual(rulesOf(['p', broken]).allow, { enforced: [], dryRun: undefined });
  });

  it('are in the order in which Envoy tries them', () => {
    const many = { action: 'DENY', rules: Array.from({ length: 11 }, () => ({})) } as const;
    const { deny } = rulesOf(['a', many], ['a-b', { action: 'DENY', rules: everything }]);
    const names = deny.enforced?.map(({ name }) => name) ?? [];
    // Letter by letter: `-` and `0` come before `]`.
    assert.deepEqual(names.slice(0, 4), [
      'ns[foo]-policy[a-b]-rule[0]',
      'ns[foo]-policy[a]-rule[0]',
      'ns[foo]-policy[a]-rule[10]',
      'ns[foo]-policy[a]-rule[1]',
    ]);
  });

  it('of CUSTOM policies deny while nobody can be asked', () => {
    const { deny, allow } = rulesOf(['p', { action: 'CUSTOM', rules: everything }]);
    assert.deepEqual(
      deny.enforced?.map(({ action }) => action),
      ['CUSTOM'],
    );
    assert.equal(allow.enforced, undefined);
  });

  it('in dry run are apart from those enforced', () => {
    const objects = policyObjects([
      authorizationPolicy(
        { action: 'DENY', rules: everything },
        { name: 'try', annotations: { 'istio.io/dry-run': 'true' } },
      ),
    ]);
    const authorizer = new Authorizer(authzContext('istio'));
    const { http } = authorizer.authorizationFor(authorizedWorkload(), objects);
    assert.equal(http.deny.enforced, undefined);
    assert.equal(http.deny.dryRun?.length, 1);
  });
});
