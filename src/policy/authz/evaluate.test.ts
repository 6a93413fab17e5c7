import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type {
  AuthorizationPolicySpec,
  AuthorizationRule,
} from '#api/kinds/authorization-policy.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import type { AuthzRequest, HttpFacts } from '#policy/authz/request.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { authorizationOf, authorizationPolicy } from '../../../test/kit/authorization-policy.ts';
import * as arbitrary from '../../../test/kit/authz-arbitrary.ts';

const GET: HttpFacts = { method: 'GET', target: '/photos?page=2', host: 'backend.foo:8080' };

function request(change: {
  readonly caller?: string;
  readonly http?: Partial<HttpFacts> | undefined;
  readonly port?: number;
}): AuthzRequest {
  const { caller, port = 8080 } = change;
  return {
    source: {
      address: '127.0.0.1',
      ...(caller === undefined
        ? {}
        : { identity: parseSpiffeId(`spiffe://cluster.local/${caller}`) }),
    },
    destination: { port },
    ...('http' in change && change.http === undefined ? {} : { http: { ...GET, ...change.http } }),
  };
}

function decide(one: AuthzRequest, ...specs: readonly AuthorizationPolicySpec[]) {
  const policies = specs.map((spec, index) => authorizationPolicy(spec, { name: `p${index}` }));
  return evaluate(authorizationOf(policies, 'strict'), one, 'strict');
}

const allow = (...rules: AuthorizationRule[]): AuthorizationPolicySpec => ({ rules });
const deny = (...rules: AuthorizationRule[]): AuthorizationPolicySpec => ({
  action: 'DENY',
  rules,
});
const fromFoo: AuthorizationRule = { from: [{ source: { namespaces: ['foo'] } }] };
const toGet: AuthorizationRule = { to: [{ operation: { methods: ['GET'] } }] };

describe('a decision', () => {
  it('without policies is to allow', () => {
    assert.deepEqual(decide(request({})), {
      decision: 'allow',
      because: 'no ALLOW policy selects the workload',
    });
  });

  it('is about the caller or the end user, as principals are bound; without HTTP the caller', () => {
    const ask = (binding: 'peer' | 'origin', http: Partial<HttpFacts> | undefined, who: string) =>
      decide(
        { ...request({ caller: 'ns/foo/sa/a', http }), principals: binding },
        allow({ from: [{ source: { principals: [who] } }] }),
      ).decision;
    const token = { claims: { iss: 'https://a', sub: 'alice' } };
    const [user, caller] = ['https://a/alice', 'cluster.local/ns/foo/sa/a'];
    assert.equal(ask('origin', token, user), 'allow');
    assert.equal(ask('origin', token, caller), 'deny');
    assert.equal(ask('origin', {}, '*'), 'deny');
    assert.equal(ask('peer', token, user), 'deny');
    assert.equal(ask('peer', token, caller), 'allow');
    assert.equal(ask('origin', undefined, caller), 'allow');
    assert.equal(ask('origin', undefined, user), 'deny');
  });

  it('names the rule that allows', () => {
    const answer = decide(request({ caller: 'ns/foo/sa/a' }), allow(fromFoo));
    assert.ok(answer.because === 'an ALLOW rule matches');
    assert.equal(answer.rule.name, 'ns[foo]-policy[p0]-rule[0]');
  });

  it('is to deny where an ALLOW policy has no rule, and where DENY has none is not', () => {
    assert.equal(decide(request({}), {}).decision, 'deny');
    assert.equal(decide(request({}), { action: 'DENY' }).decision, 'allow');
  });

  it('of a DENY rule wins over an ALLOW rule', () => {
    const answer = decide(request({}), allow({}), deny(toGet));
    assert.ok(answer.because === 'a rule denies');
    assert.equal(answer.rule.policy, 'p1');
    assert.equal(
      decide(request({ http: { method: 'PUT' } }), allow({}), deny(toGet)).decision,
      'allow',
    );
  });

  it('of a request that Envoy refuses is to deny, whatever the policy', () => {
    const answer = decide(request({ http: { target: '/photos#x' } }), allow({}));
    assert.deepEqual(answer, { decision: 'deny', because: 'the request is malformed' });
  });

  it('on a plain connection does without what needs HTTP', () => {
    const connection = request({ caller: 'ns/foo/sa/a', http: undefined });
    assert.equal(decide(connection, allow(fromFoo)).decision, 'allow');
    assert.equal(decide(connection, allow({ ...fromFoo, ...toGet })).decision, 'deny');
    assert.equal(decide(connection, deny(toGet)).decision, 'deny');
  });

  it('of a CUSTOM policy is to deny what it matches', () => {
    const custom: AuthorizationPolicySpec = { action: 'CUSTOM', rules: [toGet] };
    assert.equal(decide(request({}), custom).decision, 'deny');
    assert.equal(decide(request({ http: { method: 'PUT' } }), custom).decision, 'allow');
  });
});

describe('a denial that no ALLOW rule prevents', () => {
  it('names the policies in question, and their nearest rules with the fields that failed', () => {
    const far = {
      from: [{ source: { namespaces: ['other'] } }],
      to: [{ operation: { methods: ['PUT'], ports: ['9090'] } }],
    };
    const near = {
      from: [{ source: { principals: ['x'] } }, { source: { namespaces: ['foo'] } }],
      to: [{ operation: { methods: ['GET', 'POST'], notPaths: ['/photos*'] } }],
    };
    const answer = decide(request({ caller: 'ns/foo/sa/a' }), allow(far), allow(near), deny());
    assert.ok(answer.because === 'no ALLOW rule matches');
    assert.deepEqual(
      answer.policies.map(({ name }) => name),
      ['p0', 'p1'],
    );
    assert.deepEqual(
      answer.nearest.map(({ rule, failedFields }) => [rule.policy, failedFields]),
      [
        ['p1', ['spec.rules[0].to[0].operation.notPaths']],
        [
          'p0',
          [
            'spec.rules[0].from[0].source.namespaces',
            'spec.rules[0].to[0].operation.methods',
            'spec.rules[0].to[0].operation.ports',
          ],
        ],
      ],
    );
  });

  it('does not name rules that can never match', () => {
    const answer = decide(request({}), {}, allow(fromFoo));
    assert.ok(answer.because === 'no ALLOW rule matches');
    assert.deepEqual(
      answer.nearest.map(({ rule }) => rule.policy),
      ['p1'],
    );
  });
});

describe('whatever the policies and the request', () => {
  const profile = fc.constantFrom('istio', 'strict');

  it('there is a decision, and the same one twice', () => {
    fc.assert(
      fc.property(arbitrary.policies, arbitrary.request, profile, (policies, one, hardening) => {
        const authorization = authorizationOf(policies, hardening);
        const answer = evaluate(authorization, one, hardening);
        assert.deepEqual(evaluate(authorization, one, hardening), answer);
      }),
    );
  });

  it('one more ALLOW policy beside another never denies more, and one more DENY never less', () => {
    fc.assert(
      fc.property(
        arbitrary.policies,
        arbitrary.policies,
        arbitrary.request,
        (policies, [extra], one) => {
          if (extra === undefined) return;
          const more = { ...extra, metadata: { ...extra.metadata, name: 'extra' } };
          const before = evaluate(authorizationOf(policies, 'strict'), one, 'strict');
          const after = evaluate(authorizationOf([...policies, more], 'strict'), one, 'strict');
          const hasAllow = policies.some(({ spec }) => spec?.action === 'ALLOW');
          if (extra.spec?.action === 'ALLOW' && hasAllow && before.decision === 'allow')
            assert.equal(after.decision, 'allow');
          if (extra.spec?.action === 'DENY' && before.decision === 'deny')
            assert.equal(after.decision, 'deny');
        },
      ),
    );
  });

  it('a request that no rule can know the meaning of is not let in by it', () => {
    const nonsense = { from: [{ source: { ipBlocks: ['nonsense'] } }] };
    fc.assert(
      fc.property(arbitrary.request, (one) => {
        assert.equal(decide(one, allow(nonsense)).decision, 'deny');
        assert.equal(decide(one, deny(nonsense)).decision, 'deny');
      }),
    );
  });
});
