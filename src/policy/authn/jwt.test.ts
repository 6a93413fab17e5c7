import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { JwtRule } from '#api/kinds/jwt-rule.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { ApiObject } from '#api/object.ts';
import { readInstance } from '#model/workload.ts';
import {
  bindingsOf,
  keySourcesOf,
  TokenPolicies,
  tokensOfPort,
  type WorkloadTokens,
} from '#policy/authn/jwt.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

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
const ROOT = 'istio-system';
const SERVICES = serviceObjects('shop', 'backend', [
  { name: 'http', port: 80 },
  { name: 'admin', port: 81 },
]);

/** A workload of the service `backend`, listening on 8080 and 8081. */
function workloadIn(namespace: string, labels: Readonly<Record<string, string>>) {
  return readInstance({
    name: 'backend-1',
    namespace,
    trustDomain: parseTrustDomain('cluster.local'),
    applicationPorts: {},
    spec: { address: '10.0.0.1', labels, ports: { http: 8080, admin: 8081 } },
  });
}

const WORKLOAD = workloadIn('shop', { app: 'backend' });

const snapshotOf = (...objects: readonly ApiObject[]) =>
  testMesh([...SERVICES, ...objects]).model.snapshot();

function selection(): TokenPolicies {
  return new TokenPolicies({ rootNamespace: ROOT, clusterDomain: 'cluster.local' });
}

function tokensOf(...objects: readonly ApiObject[]): WorkloadTokens {
  return selection().tokensFor(WORKLOAD, snapshotOf(...objects));
}

function issuersOf(...policies: RequestAuthentication[]): string[] {
  return tokensOf(...policies).common.rules.map(({ issuer }) => issuer);
}

function ruleOf(rule: JwtRule) {
  return tokensOf(policy('shop', 'a', { jwtRules: [rule] })).common.rules[0];
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

  test('are those of policies that are attached to the gateway that the workload is', () => {
    const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' }];
    const mesh = snapshotOf(
      policy('shop', 'a', { ...rules('a'), targetRefs }),
      policy(ROOT, 'b', { ...rules('b'), targetRefs }),
    );
    const issuers = (labels: Readonly<Record<string, string>>) =>
      selection()
        .tokensFor(workloadIn('shop', labels), mesh)
        .common.rules.map(({ issuer }) => issuer);
    assert.deepEqual(issuers({ 'gateway.networking.k8s.io/gateway-name': 'g' }), ['a']);
    assert.deepEqual(issuers({}), []);
  });

  test('are the same object for workloads with the same policies', () => {
    const mesh = snapshotOf(policy('shop', 'a', rules('a')), policy('bank', 'b', rules('b')));
    const tokens = selection();
    const { common } = tokens.tokensFor(WORKLOAD, mesh);
    assert.equal(tokens.tokensFor(workloadIn('shop', {}), mesh).common, common);
    assert.notEqual(tokens.tokensFor(workloadIn('bank', {}), mesh).common, common);
  });
});

describe('origins of the old API', () => {
  const old = (yaml: string) =>
    objectsOf(`
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: default, namespace: shop }
spec:
  origins: [{ jwt: { issuer: "https://all" } }]
---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: backend, namespace: shop }
spec: ${yaml}
`);
  const ADMIN = old(`
  targets: [{ name: backend, ports: [{ number: 81 }] }]
  origins:
    - jwt:
        issuer: https://admin
        jwksUri: https://admin/keys
        audiences: [shop]
        jwtHeaders: [x-token]
        jwtParams: [token]
        triggerRules: [{ excludedPaths: [{ exact: /healthz }], includedPaths: [{ prefix: /a }] }]
  originIsOptional: true
  principalBinding: USE_ORIGIN
`);

  test('hold for the ports of the services that their policies name', () => {
    const tokens = tokensOf(...ADMIN);
    assert.deepEqual([...tokens.ports.keys()], [8081]);
    const { rules: all, demand, binding } = tokensOfPort(tokens, 8080);
    assert.deepEqual([all[0]?.issuer, demand, binding], ['https://all', 'present', 'peer']);
    const admin = tokensOfPort(tokens, 8081);
    assert.deepEqual([admin.demand, admin.binding], ['optional', 'origin']);
    const [rule] = admin.rules;
    assert.deepEqual(rule?.headers, [{ name: 'x-token', prefix: '' }]);
    assert.deepEqual([rule?.params, rule?.audiences, rule?.forwards], [['token'], ['shop'], true]);
    assert.deepEqual(rule?.triggers, [
      {
        excluded: [{ match: 'exact', value: '/healthz' }],
        included: [{ match: 'prefix', value: '/a' }],
      },
    ]);
    assert.deepEqual(bindingsOf(tokens), new Set(['peer', 'origin']));
  });

  test('mean nothing where a rule of the new API selects the workload', () => {
    const tokens = tokensOf(...ADMIN, policy('shop', 'new', rules('https://new')));
    assert.equal(tokens.ports.size, 0);
    assert.equal(tokensOfPort(tokens, 8081).rules[0]?.issuer, 'https://new');
    const kept = tokensOf(...ADMIN, policy('shop', 'new', { jwtRules: [] }));
    assert.equal(tokensOfPort(kept, 8081).rules[0]?.issuer, 'https://admin');
  });

  test('have keys to be fetched, too', () => {
    const sources = ADMIN.map((one) => [...keySourcesOf(one as AuthenticationPolicy).keys()]);
    assert.deepEqual(sources, [['issuer https://all'], ['keys https://admin/keys']]);
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
    const sources = (rules: JwtRule[]) => [...keySourcesOf(policy('a', 'x', { jwtRules: rules }))];
    assert.deepEqual(sources(jwtRules), [
      ['issuer https://b', undefined],
      ['keys https://a/keys', undefined],
    ]);
    assert.deepEqual([...keySourcesOf(policy('a', 'x', undefined))], []);
    const within = (timeout: string) => ({ issuer: 'https://a', audiences: [timeout], timeout });
    const [first] = sources([within('2s'), within('1m'), { issuer: 'https://a' }]);
    assert.deepEqual(first, ['issuer https://a', 60_000], 'the longest of what is said');
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
