// What is said of calls that rules of Mixer deny.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decide, policy } from '../../../test/kit/decided-call.ts';

const rule = (message: string) => `---
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: {name: deny, namespace: shop}
spec: {status: {code: 7, message: "${message}"}}
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: {name: nothing, namespace: shop}
spec: {}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: same, namespace: shop}
spec:
  match: source.principal == "cluster.local/ns/clients/sa/client"
  actions: [{handler: deny.denier, instances: [nothing.checknothing]}]
`;

it('the rule, its expression, and what callers are told', () => {
  const denied = decide({ yaml: rule('closed') });
  assert.equal(denied.decision, 'deny');
  assert.equal(denied.decidedBy.object?.kind, 'rule');
  assert.equal(denied.decidedBy.field, 'spec.match');
  assert.equal(denied.answer, '403 PERMISSION_DENIED:deny.denier.shop:closed');
  assert.match(denied.advice ?? '', /change spec\.match so that it leaves the call out \(rule/);
  assert.equal(decide({ yaml: rule(''), from: 'outside' }).decision, 'allow');
});

it('a rule is not taken for a policy of its name', () => {
  const yaml =
    rule('') + policy('same', '{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}');
  const denied = decide({ yaml });
  assert.equal(denied.decidedBy.object?.kind, 'rule');
  assert.equal(denied.answer, '403 RBAC: access denied');
});

it('the value that the agent tells, where a rule needs it', () => {
  const match = 'toLower(request.headers["version"]) == request.query_params["v"]';
  const yaml = rule('').replace(/match: .*/, `match: ${match}`);
  const asked = { yaml, headers: { Version: 'V1' } };
  const denied = decide({ ...asked, path: '/?v=v1' });
  assert.equal(denied.decision, 'deny');
  assert.match(denied.decidedBy.reason, /rule shop\/same denies it: spec\.match matches "true"/);
  assert.equal(decide({ ...asked, path: '/?v=V1' }).decision, 'allow');
  assert.equal(decide({ ...asked, path: '/' }).decision, 'allow');
});
