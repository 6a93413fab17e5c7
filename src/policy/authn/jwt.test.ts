import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JwtRule } from '#api/kinds/jwt-rule.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import { keySourcesOf, TokenPolicies } from '#policy/authn/jwt.ts';

function policy(
  namespace: string,
  name: string,
  spec: RequestAuthentication['spec'],
): RequestAuthentication {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { namespace, name },
    ...(spec === undefined ? {} : { spec }),
  };
}

const rules = (...issuers: string[]) => ({ jwtRules: issuers.map((issuer) => ({ issuer })) });
const index = (...policies: RequestAuthentication[]) => {
  const namespaces = new Set(policies.map(({ metadata }) => metadata.namespace ?? ''));
  const lists = [...namespaces].map(
    (namespace) =>
      [namespace, policies.filter(({ metadata }) => metadata.namespace === namespace)] as const,
  );
  return NamespacedObjects.empty<RequestAuthentication>().replace(new Map(lists));
};
const WORKLOAD = { namespace: 'shop', labels: { app: 'backend' } };
const ROOT = 'istio-system';

function issuersOf(...policies: RequestAuthentication[]): string[] {
  const { rules: found } = new TokenPolicies(ROOT).tokensFor(WORKLOAD, index(...policies));
  return found.map(({ issuer }) => issuer);
}

function ruleOf(rule: JwtRule) {
  const policies = index(policy('shop', 'a', { jwtRules: [rule] }));
  return new TokenPolicies(ROOT).tokensFor(WORKLOAD, policies).rules[0];
}

describe('the rules of a workload', () => {
  test('are those of all policies that select it, by issuer', () => {
    const found = issuersOf(
      policy('shop', 'a', rules('z', 'b')),
      policy('shop', 'b', { ...rules('a'), selector: { matchLabels: { app: 'backend' } } }),
      policy(ROOT, 'c', rules('m')),
    );
    assert.deepEqual(found, ['a', 'b', 'm', 'z']);
  });

  test('are not those of other namespaces, labels, gateways and services', () => {
    const found = issuersOf(
      policy('bank', 'a', rules('a')),
      policy('shop', 'b', { ...rules('b'), selector: { matchLabels: { app: 'other' } } }),
      policy('shop', 'c', { ...rules('c'), targetRefs: [{ kind: 'Service', name: 'backend' }] }),
      policy('shop', 'd', { ...rules('d'), targetRef: { kind: 'Service', name: 'backend' } }),
      policy('shop', 'e', undefined),
    );
    assert.deepEqual(found, []);
  });

  test('are the same object for workloads with the same policies', () => {
    const policies = index(policy('shop', 'a', rules('a')), policy('bank', 'b', rules('b')));
    const selection = new TokenPolicies(ROOT);
    const tokens = selection.tokensFor(WORKLOAD, policies);
    assert.equal(selection.tokensFor({ namespace: 'shop', labels: {} }, policies), tokens);
    assert.notEqual(selection.tokensFor({ namespace: 'bank', labels: {} }, policies), tokens);
  });
});

describe('the keys of a rule', () => {
  const keysOf = (rule: JwtRule) => ruleOf(rule)?.keys;

  test('are those written into it, then those at its URL, then those that its issuer names', () => {
    const jwks = '{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}';
    const jwksUri = 'https://a/keys';
    assert.deepEqual(keysOf({ issuer: 'https://a', jwks, jwksUri }), { from: 'text', text: jwks });
    assert.deepEqual(keysOf({ issuer: 'https://a', jwksUri }), {
      from: 'source',
      source: `keys ${jwksUri}`,
    });
    assert.deepEqual(keysOf({ issuer: 'https://a' }), {
      from: 'source',
      source: 'issuer https://a',
    });
  });

  test('are none when they cannot be read: such a rule refuses its tokens', () => {
    assert.deepEqual(keysOf({ issuer: 'https://a', jwks: '{}' }), { from: 'nowhere' });
    assert.deepEqual(keysOf({}), { from: 'nowhere' });
  });

  test('are fetched once for each place', () => {
    const jwtRules = [
      { issuer: 'https://b' },
      { jwksUri: 'https://a/keys' },
      { issuer: 'https://b', audiences: ['x'] },
      { jwks: '{}' },
    ];
    assert.deepEqual(keySourcesOf(policy('a', 'x', { jwtRules })), [
      'issuer https://b',
      'keys https://a/keys',
    ]);
    assert.deepEqual(keySourcesOf(policy('a', 'x', undefined)), []);
  });
});

test('scope and permission are lists in any case', () => {
  const listsOf = (spaceDelimited: string[] | undefined) =>
    ruleOf({
      issuer: 'https://a',
      ...(spaceDelimited === undefined ? {} : { spaceDelimitedClaims: spaceDelimited }),
    })?.spaceDelimitedClaims;
  assert.deepEqual(listsOf(undefined), ['permission', 'scope']);
  assert.deepEqual(listsOf(['roles', 'scope']), ['permission', 'roles', 'scope']);
});
