import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Asked, decide, policy } from '../../../test/kit/decided-call.ts';

const NO_TLS = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: no-tls, namespace: clients}
spec: {host: web.shop.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}
`;

const CLIENT = '{from: [{source: {principals: ["cluster.local/ns/clients/sa/client"]}}]}';

describe('a decision', () => {
  it('names the nearest rule with what was asked and given', () => {
    const yaml = policy('gets', '{rules: [{to: [{operation: {methods: [GET], paths: [/a]}}]}]}');
    const { nearest, advice } = decide({ yaml, method: 'POST', path: '/a' });
    const field = 'spec.rules[0].to[0].operation.methods';
    assert.deepEqual(nearest[0]?.failed, [
      { field, asked: ['GET'], given: 'POST', isExcluded: false },
    ]);
    assert.equal(advice, `add "POST" to ${field} (AuthorizationPolicy shop/gets)`);
  });

  it('names the value that is excluded', () => {
    const spec = '{rules: [{from: [{source: {notNamespaces: [other, clients]}}]}]}';
    const { nearest, advice } = decide({ yaml: policy('others', spec) });
    const [first] = nearest[0]?.failed ?? [];
    assert.deepEqual(first?.asked, ['clients']);
    assert.equal(first?.isExcluded, true);
    assert.match(advice ?? '', /^take "clients" out of spec\.rules\[0\]\.from\[0\]\.source\.notN/);
  });

  it('says which object takes the identity of a caller away', () => {
    const { advice } = decide({ yaml: NO_TLS + policy('clients', `{rules: [${CLIENT}]}`) });
    assert.match(advice ?? '', /mutual TLS, which DestinationRule clients\/no-tls turns off/);
  });

  it('tells every rule that a call meets', () => {
    const rules = `{rules: [${CLIENT}, {to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [PUT]}}]}]}`;
    const { matched } = decide({ yaml: policy('clients', rules) });
    assert.deepEqual(
      matched.map(({ index }) => index),
      [0, 1],
    );
  });
});

describe('what helps against a denial', () => {
  const DENIALS: readonly Asked[] = [
    { yaml: policy('p', '{rules: [{to: [{operation: {methods: [PUT], paths: [/b]}}]}]}') },
    { yaml: policy('p', '{rules: [{from: [{source: {namespaces: [other]}}]}]}') },
    { yaml: policy('p', '{rules: [{to: [{operation: {hosts: [other.example]}}]}]}') },
    { yaml: policy('p', '{rules: [{from: [{source: {ipBlocks: [10.1.0.0/16]}}]}]}') },
  ];

  for (const denial of DENIALS) {
    it(`lets the call in: ${denial.yaml?.split('spec: ')[1]?.trim()}`, () => {
      const { advice, decision } = decide(denial);
      assert.equal(decision, 'deny');
      const changes = [...(advice ?? '').matchAll(/add "([^"]+)" to spec\.(\S+?)[; ]/g)];
      assert.ok(changes.length > 0, advice);
      let { yaml = '' } = denial;
      for (const [, value = '', field = ''] of changes) {
        const name = field.split('.').at(-1) ?? '';
        yaml = yaml.replace(`${name}: [`, `${name}: ["${value}", `);
      }
      assert.equal(decide({ ...denial, yaml }).decision, 'allow', yaml);
    });
  }
});
