import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { extensionProviders } from '#model/extension-provider.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { type Asked, decide, NOW_MS, policy } from '../../../test/kit/decided-call.ts';

const STRICT = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
`;

const NO_TLS = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: no-tls, namespace: clients}
spec: {host: web.shop.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}
`;

const USERS = `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: shop}
spec:
  jwtRules: [{issuer: https://a.example, audiences: [web], jwksUri: https://a.example/keys}]
`;

const ALICE = { iss: 'https://a.example', sub: 'alice', aud: ['web'] };
const CLIENT = '{from: [{source: {principals: ["cluster.local/ns/clients/sa/client"]}}]}';

/** What is asked, the decision with its layer, and the object and field that decide. */
const CASES: readonly (readonly [string, Asked, string, string?, string?])[] = [
  ['without policies everybody gets in', { from: 'outside' }, 'allow allow'],
  [
    'plaintext does not get to a STRICT server',
    { from: 'outside', yaml: STRICT },
    'deny connection',
    'strict',
    'spec.mtls.mode',
  ],
  ['mutual TLS gets to a STRICT server', { yaml: STRICT }, 'allow allow'],
  [
    'a client that turns mutual TLS off does not get to a STRICT server',
    { yaml: STRICT + NO_TLS },
    'deny connection',
    'no-tls',
    'spec.trafficPolicy.tls.mode',
  ],
  ['it gets to a PERMISSIVE one', { yaml: NO_TLS }, 'allow allow'],
  [
    'but has no identity there',
    { yaml: NO_TLS + policy('clients', `{rules: [${CLIENT}]}`) },
    'deny allow',
    'clients',
    'spec.rules[0].from[0].source.principals',
  ],
  [
    'without auto mTLS a client sends plaintext',
    { yaml: STRICT, settings: { autoMtls: false } },
    'deny connection',
    'strict',
    'spec.mtls.mode',
  ],
  [
    'a service that is not exported is not called',
    {
      yaml: `---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {networking.istio.io/exportTo: "."}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
`,
    },
    'deny connection',
  ],
  [
    'a caller that is on the list gets in',
    { yaml: policy('clients', `{rules: [${CLIENT}]}`) },
    'allow allow',
    'clients',
    'spec.rules[0].from[0].source.principals',
  ],
  [
    'DENY comes before ALLOW',
    {
      yaml: `${policy('clients', `{rules: [${CLIENT}]}`)}${policy(
        'admin',
        '{action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}]}',
      )}`,
      path: '/x/../admin',
    },
    'deny deny',
    'admin',
    'spec.rules[0].to[0].operation.paths',
  ],
  [
    'a policy in dry run decides nothing',
    {
      yaml: policy('nothing', '{}').replace(
        'name: nothing',
        'name: nothing, annotations: {istio.io/dry-run: "true"}',
      ),
    },
    'allow allow',
  ],
  ['a path that Envoy refuses is refused', { path: '/a#b' }, 'deny deny'],
  [
    'ALLOW rules about HTTP allow nothing on a TCP port',
    { port: 90, yaml: policy('gets', '{rules: [{to: [{operation: {methods: [GET]}}]}]}') },
    'deny allow',
    'gets',
    'spec',
  ],
  ['a good token is taken', { yaml: USERS, claims: ALICE }, 'allow allow'],
  ['no token is needed unless somebody says so', { yaml: USERS }, 'allow allow'],
  [
    'a token of another issuer is refused',
    { yaml: USERS, claims: { ...ALICE, iss: 'https://b.example' } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'a token for another audience is refused',
    { yaml: USERS, claims: { ...ALICE, aud: 'mail' } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'a token that has expired is refused',
    { yaml: USERS, claims: { ...ALICE, exp: NOW_MS / 1000 - 61 } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'so is one that is not valid yet',
    { yaml: USERS, claims: { ...ALICE, nbf: NOW_MS / 1000 + 61 } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'clocks may be off by a minute',
    { yaml: USERS, claims: { ...ALICE, exp: NOW_MS / 1000 - 59, nbf: NOW_MS / 1000 + 59 } },
    'allow allow',
  ],
  [
    'a required token that is missing is asked for',
    { yaml: USERS.replace('{issuer', '{presence: REQUIRED, issuer') },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'in the profile istio nobody asks for it',
    {
      yaml: USERS.replace('{issuer', '{presence: REQUIRED, issuer'),
      settings: { hardening: 'istio' },
    },
    'allow allow',
  ],
  [
    'a user that a policy names gets in',
    {
      yaml: `${USERS}${policy(
        'alice',
        '{rules: [{from: [{source: {requestPrincipals: ["https://a.example/alice"]}}]}]}',
      )}`,
      claims: ALICE,
    },
    'allow allow',
    'alice',
    'spec.rules[0].from[0].source.requestPrincipals',
  ],
  [
    'claims of a token that nobody judges do not count',
    {
      yaml: policy('users', '{rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}'),
      claims: ALICE,
    },
    'deny allow',
    'users',
    'spec.rules[0].from[0].source.requestPrincipals',
  ],
  [
    'origins of a Policy ask for a token',
    {
      yaml: `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: old, namespace: shop}
spec:
  peers: [{mtls: {}}]
  origins: [{jwt: {issuer: https://a.example, jwksUri: https://a.example/keys}}]
`,
    },
    'deny token',
    'old',
    'spec.origins[0].jwt',
  ],
  [
    'origins whose paths cannot be told apart refuse everything',
    {
      yaml: `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: old, namespace: shop}
spec:
  originIsOptional: true
  origins:
    - jwt:
        issuer: https://a.example
        jwksUri: https://a.example/keys
        triggerRules: [{includedPaths: [{suffix: .x}]}, {includedPaths: [{suffix: .y}]}]
`,
    },
    'deny token',
    'old',
    'spec.origins[0].jwt',
  ],
  [
    'in the profile istio a fragment does not change what token a path needs',
    {
      path: '/open#x',
      settings: { hardening: 'istio' },
      yaml: `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: old, namespace: shop}
spec:
  origins:
    - jwt:
        issuer: https://a.example
        jwksUri: https://a.example/keys
        triggerRules: [{excludedPaths: [{exact: /open}]}]
`,
    },
    'allow allow',
  ],
  [
    'a workload without proxy is guarded by nobody',
    {
      from: 'outside',
      yaml: `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: legacy, namespace: shop}
spec: {address: 10.0.0.5, labels: {app: web}, ports: {http: 8080}}
${STRICT}${policy('nothing', '{}')}`,
    },
    'allow connection',
  ],
  [
    'a revoked caller is refused',
    {
      from: 'revoked',
      yaml: `---
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: {name: stolen, uid: '1'}
spec: {identity: spiffe://cluster.local/ns/clients/sa/revoked}
`,
    },
    'deny revocation',
  ],
  [
    'roles decide where no AuthorizationPolicy does',
    {
      yaml: `---
apiVersion: rbac.istio.io/v1alpha1
kind: ClusterRbacConfig
metadata: {name: default}
spec: {mode: 'ON'}
`,
    },
    'deny allow',
    'default',
    'spec',
  ],
];

describe('a decision about a call', () => {
  for (const [name, asked, expected, object, field] of CASES) {
    it(name, () => {
      const decision = decide(asked);
      const { decidedBy } = decision;
      assert.equal(`${decision.decision} ${decidedBy.layer}`, expected, decidedBy.reason);
      assert.equal(decidedBy.object?.name, object);
      assert.equal(decidedBy.field, field);
    });
  }

  it('names the extension provider that is asked, and what of a call it is asked about', () => {
    const providers = [
      { name: 'checks', envoyExtAuthzHttp: { service: 'web.shop.svc.cluster.local', port: 80 } },
    ];
    const settings = { extensionProviders: extensionProviders(providers) };
    const spec =
      '{action: CUSTOM, provider: {name: checks}, rules: [{to: [{operation: {paths: [/x]}}]}]}';
    const yaml = policy('ask', spec);
    const { decision, asks, layers } = decide({ yaml, settings, path: '/x' });
    assert.deepEqual([decision, asks], ['allow', ['checks']]);
    const custom = layers.find(({ layer }) => layer === 'custom');
    assert.deepEqual([custom?.outcome, custom?.object?.name], ['asks', 'ask']);
    assert.deepEqual(decide({ yaml, settings, path: '/y' }).asks, []);
    const { decidedBy } = decide({ yaml, path: '/x' });
    assert.deepEqual([decidedBy.layer, decidedBy.outcome], ['custom', 'deny'], 'no such provider');
  });

  it('does not know certificates of trust domains that nobody vouches for', () => {
    const { decision, decidedBy } = decide({ from: 'foreign' });
    assert.equal(`${decision} ${decidedBy.layer}`, 'deny connection');
    assert.match(decidedBy.reason, /the trust domain other\.example is not this one/);
    const aliases = [parseTrustDomain('other.example')];
    const settings = { trustDomainAliases: aliases };
    assert.equal(decide({ from: 'foreign', settings }).decision, 'allow');
  });

  it('skips the layers after the one that denies', () => {
    const { layers } = decide({ from: 'outside', yaml: STRICT });
    const outcomes = layers.map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['deny', ...new Array(layers.length - 1).fill('skipped')]);
  });
});
