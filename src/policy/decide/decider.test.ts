import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { extensionProviders } from '#model/extension-provider.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { checkDecision, type DecidedCase, decide, policy } from '../../../test/kit/decided-call.ts';

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

const CLIENT = '{from: [{source: {principals: ["cluster.local/ns/clients/sa/client"]}}]}';

const CASES: readonly DecidedCase[] = [
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
  for (const one of CASES) it(one[0], () => checkDecision(one));

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
