// What is told of rules that change nothing is so, whatever the request: random policies.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import { coveredRules } from '#policy/authz/covered-rules.ts';
import { matchedConditions } from '#policy/authz/evaluate.ts';
import { factsOf } from '#policy/authz/request.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { policies, request } from '../../../test/kit/authz-arbitrary.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const { settings } = testMesh([]);

function compiled(policy: AuthorizationPolicy) {
  return new Authorizer(settings).compile(policy);
}

function covered(rules: string, action = 'ALLOW') {
  const [policy] = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: { action: ${action}, rules: ${rules} }
`);
  assert.ok(policy);
  return coveredRules(compiled(policy)).map(({ index, by }) => [index, by]);
}

const from = (source: string) => `from: [{ source: { ${source} } }]`;
const to = (operation: string) => `to: [{ operation: { ${operation} } }]`;

describe('a rule changes nothing', () => {
  it('that asks for more than another one', () => {
    const wide = `{ ${from('namespaces: [a]')} }`;
    const narrow = `{ ${from('namespaces: [a]')}, ${to('methods: [GET]')} }`;
    assert.deepEqual(covered(`[${narrow}, ${wide}]`), [[0, 1]]);
    assert.deepEqual(covered(`[${wide}, {}]`), [[0, 1]]);
    assert.deepEqual(covered(`[{ ${to('paths: [/a/b]')} }, { ${to('paths: ["/a*"]')} }]`), [
      [0, 1],
    ]);
  });

  it('that says the same once more', () => {
    const one = `{ ${to('paths: [/a], notMethods: [PUT]')} }`;
    assert.deepEqual(covered(`[${one}, ${one}]`), [[1, 0]]);
  });

  it('that leaves out more', () => {
    const [more, less] = ['[PUT, POST]', '[PUT]'].map((out) => `{ ${to(`notMethods: ${out}`)} }`);
    assert.deepEqual(covered(`[${more}, ${less}]`), [[0, 1]]);
  });
});

describe('nothing is told of a rule', () => {
  for (const [name, rules] of Object.entries({
    'with callers of its own': `[{ ${from('namespaces: [a]')} }, { ${from('namespaces: [b]')} }]`,
    'with another attribute': `[{ ${from('namespaces: [a]')} }, { ${to('methods: [GET]')} }]`,
    'with other values': `[{ ${to('methods: [GET, PUT]')} }, { ${to('methods: [GET, POST]')} }]`,
    'whose values are left out': `[{ ${to('methods: [GET]')} }, { ${to('notMethods: [PUT]')} }]`,
  }))
    it(name, () => assert.deepEqual(covered(rules), []));

  it('that decides about plain connections alone', () => {
    // Without HTTP a DENY rule about methods is one about everything.
    const rules = `[{ ${from('namespaces: [a]')}, ${to('methods: [GET]')} }, { ${from('namespaces: [a]')}, ${to("ports: ['80']")} }]`;
    assert.deepEqual(covered(rules, 'DENY'), []);
  });

  it('of a policy with very many', () => {
    const rules = Array.from({ length: 101 }, () => '{}').join(', ');
    assert.deepEqual(covered(`[${rules}]`), []);
  });
});

it('whatever a rule that changes nothing matches, the other one matches', () => {
  let seen = 0;
  fc.assert(
    fc.property(policies, request, (objects, one) => {
      const facts = factsOf(one, 'NONE', settings.hardening);
      if (!facts) return;
      for (const policy of objects) {
        const { http, tcp } = compiled(policy);
        const rules = one.http ? http : tcp;
        const at = (index: number): CompiledRule | undefined =>
          rules.find((rule) => rule.index === index);
        for (const { index, by } of coveredRules(compiled(policy))) {
          seen += 1;
          const [narrow, wide] = [at(index), at(by)];
          if (!narrow || matchedConditions(narrow, facts) === undefined) continue;
          assert.ok(wide && matchedConditions(wide, facts), `${index} by ${by}`);
        }
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(seen > 50, `only ${seen} were told`);
});
