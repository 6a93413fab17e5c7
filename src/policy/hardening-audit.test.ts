import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { auditHardening } from '#policy/hardening-audit.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../test/kit/objects.ts';

const SERVICE = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
/** With it nothing is weaker than it could be. */
const GUARDED = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers, namespace: shop }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/web/sa/caller] } }] }] }
`;

function audit(yaml = '', changes: Partial<MeshSettings> = {}) {
  const objects = [...SERVICE, ...objectsOf([GUARDED, yaml].filter(Boolean).join('---\n'))];
  return auditHardening(testMesh(objects, changes).model.snapshot());
}

const found = (yaml?: string, changes?: Partial<MeshSettings>): readonly string[] =>
  audit(yaml, changes).weaknesses.map(({ from, what }) => `${from} ${what}`);

const policy = (name: string, spec: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;

const tokens = (rule: string): string => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec: { jwtRules: [{ issuer: me, ${rule} }] }
`;

const destination = (tls: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: calls, namespace: shop }
spec: { host: backend.shop.svc.cluster.local, trafficPolicy: { tls: ${tls} } }
`;

describe('the audit of a mesh', () => {
  it('finds nothing where everything is as strict as it can be', () => {
    const careful = [
      policy('d', '{ action: DENY, rules: [{ to: [{ operation: { methods: [PUT] } }] }] }'),
      tokens('requireExpiration: true, audiences: [shop]'),
      destination('{ mode: ISTIO_MUTUAL }'),
    ];
    assert.deepEqual(found(careful.join('---\n')), []);
    assert.ok(audit().differences.every(({ isStrict }) => isStrict));
  });

  it('finds settings of the mesh that are weaker', () => {
    const weaker = found('', { hardening: 'istio', autoMtls: false, denialHeader: true });
    assert.deepEqual(
      weaker.map((text) => text.split(' ', 3).join(' ')),
      ['hardening', 'pathNormalization', 'autoMtls', 'denialHeader'].map(
        (name) => `setting ${name} is`,
      ),
    );
    const { differences, profile } = audit('', { hardening: 'istio' });
    assert.equal(profile, 'istio');
    assert.ok(differences.every(({ isStrict }) => !isStrict));
  });

  const weak: Readonly<Record<string, readonly [yaml: string, expected: RegExp]>> = {
    'ports that take plaintext, with the object that says so': [
      `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: lenient, namespace: shop }
spec: { mtls: { mode: PERMISSIVE } }
`,
      /^PeerAuthentication shop\/lenient PERMISSIVE: shop\/backend:\d+ take plaintext, too$/,
    ],
    'rules by which callers send plaintext': [
      destination('{ mode: DISABLE }'),
      /^DestinationRule shop\/calls callers send plaintext to backend/,
    ],
    'rules by which servers are not verified': [
      destination('{ mode: SIMPLE, insecureSkipVerify: true }'),
      /^DestinationRule shop\/calls backend.* is not verified at all$/,
    ],
    'dry runs': [
      policy('d', '{ action: DENY, rules: [{}] }').replace(
        'namespace: shop',
        'namespace: shop, annotations: { istio.io/dry-run: "true" }',
      ),
      /^AuthorizationPolicy shop\/d is a dry run: it denies nothing$/,
    ],
    'denials of paths': [
      policy('d', '{ action: DENY, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }'),
      /^AuthorizationPolicy shop\/d denies paths: /,
    ],
    'tokens that never expire': [
      tokens('audiences: [shop]'),
      /^RequestAuthentication shop\/users takes tokens of me that never expire$/,
    ],
    'tokens that were meant for others': [
      tokens('requireExpiration: true'),
      /^RequestAuthentication shop\/users takes tokens of me that were meant for others$/,
    ],
  };
  for (const [what, [yaml, expected]] of Object.entries(weak)) {
    it(`finds ${what}`, () => {
      const [first = '', ...more] = found(yaml);
      assert.match(first, expected);
      assert.deepEqual(more, []);
    });
  }

  it('finds services about which nobody says anything', () => {
    const mesh = testMesh(SERVICE).model.snapshot();
    const lines = auditHardening(mesh).weaknesses.map(({ from, what }) => `${from} ${what}`);
    assert.match(lines[0] ?? '', /^nobody asks for mutual TLS \(PERMISSIVE\): shop\/backend:/);
    assert.equal(lines[1], 'nobody says who may call shop/backend: everybody may');
  });
});

describe('a difference of the profiles', () => {
  const about = (yaml: string, name: string) =>
    audit(yaml).differences.find((one) => one.name === name)?.reliedOnBy;

  const to = (operation: string) =>
    policy('p', `{ rules: [{ to: [{ operation: ${operation} }] }] }`);
  const from = (source: string) => policy('p', `{ rules: [{ from: [{ source: ${source} }] }] }`);
  const cases: Readonly<Record<string, string>> = {
    hostMatchIgnoresPort: to('{ hosts: [a.example] }'),
    fragmentsAreRefused: to('{ paths: [/a] }'),
    templateMatchesAnyCharacter: to('{ paths: ["/a/{*}"] }'),
    peerIdentityIsAnchored: from('{ namespaces: [web] }'),
    principalSchemeIsOptional: from('{ principals: ["spiffe://cluster.local/ns/a/sa/b"] }'),
    allowByExclusionNeedsPeer: from('{ notPrincipals: [a] }'),
    callerAddressIsPeers: from('{ remoteIpBlocks: [10.0.0.0/8] }'),
    claimsMatchByText: policy(
      'p',
      '{ rules: [{ when: [{ key: "request.auth.claims[level]", values: ["7"] }] }] }',
    ),
    presenceSpansLines: from('{ requestPrincipals: ["*"] }'),
    providedHeadersAreStripped: policy(
      'p',
      '{ action: CUSTOM, provider: { name: x }, rules: [{}] }',
    ),
  };
  for (const [name, yaml] of Object.entries(cases)) {
    it(`names the policies that it is about (${name})`, () => {
      assert.deepEqual(about(yaml, name), ['AuthorizationPolicy shop/p']);
      assert.deepEqual(about('', name), [], 'and no others');
    });
  }

  it('names the rules for tokens that it is about', () => {
    const names = ['RequestAuthentication shop/users'];
    assert.deepEqual(about(tokens('presence: REQUIRED'), 'requiredTokensAreEnforced'), names);
    assert.deepEqual(about(tokens('presence: OPTIONAL'), 'requiredTokensAreEnforced'), []);
    assert.deepEqual(about(tokens('presence: OPTIONAL'), 'bearerIsChecked'), names);
  });
});
