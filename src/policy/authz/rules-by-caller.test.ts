import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import { type RulesByCaller, rulesByCaller } from '#policy/authz/rules-by-caller.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { authorizationOf } from '../../../test/kit/authorization-policy.ts';
import { policies, request } from '../../../test/kit/authz-arbitrary.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

/** The second one is an alias of the first. */
const DOMAINS = ['cluster.local', 'old.local'];
const ID = 'spiffe://cluster.local/ns/web/sa/';
const OLD = 'spiffe://old.local/ns/web/sa/';

function rulesOf(spec: string, profile: 'strict' | 'istio' = 'strict'): readonly CompiledRule[] {
  const objects = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: foo }
spec: { action: DENY, rules: ${spec} }
`);
  return authorizationOf(objects, profile).http.deny.enforced ?? [];
}

/** Places of the rules of each caller. */
function listed(spec: string, profile?: 'strict' | 'istio') {
  const lists = rulesByCaller(rulesOf(spec, profile), DOMAINS);
  const places = (map: RulesByCaller['identities'] | undefined) =>
    Object.fromEntries([...(map ?? [])].map(([key, rules]) => [key, rules.map((r) => r.index)]));
  return lists && { identities: places(lists.identities), namespaces: places(lists.namespaces) };
}

const from = (source: string): string => `{ from: [{ source: ${source} }] }`;

describe('rules by caller', () => {
  it('are those that name it, and those about everybody, in their order', () => {
    const rules = [
      from(`{ principals: [cluster.local/ns/web/sa/a] }`),
      '{ to: [{ operation: { paths: [/x] } }] }',
      from(`{ principals: [cluster.local/ns/web/sa/b, cluster.local/ns/web/sa/a] }`),
      from(`{ principals: ["cluster.local/ns/*"] }`),
      from(`{ notPrincipals: [cluster.local/ns/web/sa/a] }`),
    ];
    assert.deepEqual(listed(`[${rules}]`), {
      identities: {
        [`${ID}a`]: [0, 1, 2, 3, 4],
        [`${ID}b`]: [1, 2, 3, 4],
        [`${OLD}a`]: [0, 1, 2, 3, 4],
        [`${OLD}b`]: [1, 2, 3, 4],
      },
      namespaces: {},
    });
  });

  it('are those of its namespace and account too, in every domain of the mesh', () => {
    const rules = [
      from('{ namespaces: [web] }'),
      from('{ principals: [partner.example/ns/web/sa/a] }'),
      from('{ serviceAccounts: [web/b] }'),
      from('{ namespaces: ["we*"] }'),
    ];
    assert.deepEqual(listed(`[${rules}]`), {
      identities: {
        [`${ID}b`]: [0, 2, 3],
        [`${OLD}b`]: [0, 2, 3],
        'spiffe://partner.example/ns/web/sa/a': [0, 1, 3],
      },
      namespaces: { [ID]: [0, 3], [OLD]: [0, 3] },
    });
  });

  it('are not told apart where a namespace may be anywhere in an identity', () => {
    assert.equal(listed(`[${from('{ namespaces: [web] }')}]`, 'istio'), undefined);
    assert.equal(listed('[{}]'), undefined, 'or where nobody is named');
  });

  it('are not written down more often than is of use', () => {
    const names = Array.from({ length: 300 }, (_, at) => `cluster.local/ns/n${at}/sa/a`);
    assert.equal(listed(`[${from(`{ principals: [${names}] }`)}]`), undefined);
  });

  it('decide as all rules do, whatever the policies and the request', () => {
    let looked = 0;
    fc.assert(
      fc.property(policies, request, fc.boolean(), (objects, one, isStrict) => {
        const profile = isStrict ? 'strict' : 'istio';
        const whole = authorizationOf(objects, profile);
        const own = ofCaller(whole, one.source.identity);
        if (!own || !one.http) return;
        looked += 1;
        const [all, some] = [whole, own].map((rules) => evaluate(rules, one, profile));
        assert.equal(some?.decision, all?.decision);
        assert.equal(
          some && 'rule' in some && some.rule.name,
          all && 'rule' in all && all.rule.name,
        );
      }),
      { numRuns: 2000 },
    );
    assert.ok(looked > 20, `${looked} requests of callers that are named`);
  });
});

/** The authorization with the rules of one caller alone; undefined when there is no list for it. */
function ofCaller(
  whole: WorkloadAuthorization,
  identity: string | undefined,
): WorkloadAuthorization | undefined {
  if (identity === undefined) return undefined;
  let found = false;
  const less = (set: WorkloadAuthorization['http']['deny']) => {
    const lists = rulesByCaller(set.enforced ?? [], DOMAINS);
    const prefix = [...(lists?.namespaces.keys() ?? [])].find((key) => identity.startsWith(key));
    const enforced =
      lists?.identities.get(identity) ?? (prefix && lists?.namespaces.get(prefix)) ?? undefined;
    if (!enforced) return set;
    found = true;
    return { ...set, enforced };
  };
  const http = { ...whole.http, deny: less(whole.http.deny), allow: less(whole.http.allow) };
  return found ? { ...whole, http } : undefined;
}
