import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

// Proves that what a policy does in vain is told, and that nothing is told of one that works.

const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Namespace
metadata: { name: photo }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: frontend, namespace: photo }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-1, namespace: shop }
spec: { address: 10.0.0.1, serviceAccount: web, labels: { app: web } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8080 }, { name: tcp-raw, port: 90, targetPort: 9090 }]
`;
/** Only of spellings. */
function shownRemedy(remedy: string | undefined): string {
  return remedy?.startsWith('write ') ? ` (${remedy})` : '';
}

/** What is said of a policy in the namespace shop. */
function said(spec: string, world = WORLD): string[] {
  const policy = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: ${spec}
`;
  const mesh = testMesh(objectsOf(`${world}${policy}`)).model.snapshot();
  const findings = findingsOf(mesh, new Authorizer(mesh.settings));
  return [...findings.values()]
    .flat()
    .map(({ field, message, remedy }) => `${field}: ${message}${shownRemedy(remedy)}`);
}
const NORMALIZED = 'the mesh normalizes such paths (DECODE_AND_MERGE_SLASHES)';
const from = (source: string) => `{ rules: [{ from: [{ source: { ${source} } }] }] }`;
const to = (operation: string, action = 'ALLOW') =>
  `{ action: ${action}, rules: [{ to: [{ operation: { ports: ["8080"], ${operation} } }] }] }`;

describe('a path in a spelling that the mesh normalizes', () => {
  const field = 'spec.rules[0].to[0].operation.paths: ';
  it('is told, as no request is ever seen with it', () => {
    for (const [path, seen] of [
      ['/a//b', '/a/b'],
      ['/a/../b', '/b'],
      ['/%61dmin', '/admin'],
      ['/a%2Fb', '/a/b'],
    ] as const) {
      const [found, ...more] = said(to(`paths: ["/ok", "${path}"]`, 'DENY'));
      assert.equal(found, `${field}"${path}" matches nothing: ${NORMALIZED} (write "${seen}")`);
      assert.deepEqual(more, []);
    }
    const [refused] = said(to('paths: ["/caf\u00e9"]', 'DENY'));
    assert.match(refused ?? '', /matches nothing: such requests are refused \(400\)/);
    const [excluded] = said(to('notPaths: ["/a//b"]'));
    assert.match(excluded ?? '', /operation\.notPaths: "\/a\/\/b" matches nothing/);
  });

  it('is not told of one that it leaves as it is', () => {
    const paths = ['/', '/a/b', '/a/', '/a;b', '/a%20b', '/a//b*', '/a/{*}', '*'];
    assert.deepEqual(said(to(`paths: ${JSON.stringify(paths)}`, 'DENY')), []);
  });
});

describe('a rule that can never match', () => {
  it('is told with the field that excludes what another asks for', () => {
    assert.deepEqual(said(to('methods: [GET], notMethods: [GET, POST]')), [
      'spec.rules[0].to[0].operation.methods: rule 0 can never match: ' +
        'notMethods excludes all that methods asks for',
    ]);
    for (const field of [
      'paths: ["/a/b"], notPaths: ["/a*"]',
      'paths: ["/a/{*}"], notPaths: ["*"]',
      'hosts: ["*.a.com"], notHosts: ["*a.com"]',
    ]) {
      assert.match(said(to(field)).join(), /can never match/, field);
    }
    for (const field of [
      'ipBlocks: [10.1.0.0/16], notIpBlocks: [10.0.0.0/8]',
      'principals: ["a"], notPrincipals: ["*"]',
      'serviceAccounts: ["photo/frontend"], notServiceAccounts: ["photo/frontend"]',
      'requestPrincipals: ["i/s"], notRequestPrincipals: ["i/*"]',
    ]) {
      assert.match(said(from(field)).join(), /rule 0 can never match/, field);
    }
  });

  it('is told when two conditions on one attribute exclude each other', () => {
    const when = 'when: [{ key: source.principal, values: ["b"] }]';
    const rule = `{ rules: [{ from: [{ source: { principals: ["a"] } }], ${when} }] }`;
    assert.match(said(rule).join(), /can never match: spec\.rules\[0\]\.when\[0\]\.values asks/);
  });

  it('is told of the part alone while another can match', () => {
    const parts =
      '{ methods: [GET], notMethods: [GET], ports: ["8080"] } }, { operation: { ports: ["8080"] }';
    assert.match(said(`{ rules: [{ to: [{ operation: ${parts} }] }] }`).join(), /: this part can/);
  });

  it('is not told of one that can', () => {
    for (const field of [
      'methods: [GET, POST], notMethods: [GET]',
      'paths: ["/a*"], notPaths: ["/a/b"]',
      'paths: ["*"], notPaths: ["/{**}"]',
      'hosts: ["a.com"], notHosts: ["*.a.com"]',
    ]) {
      assert.deepEqual(said(to(field)), [], field);
    }
    assert.deepEqual(said(from('ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]')), []);
    assert.deepEqual(said(from('ipBlocks: [10.0.0.0/8], notIpBlocks: ["fd00::/8"]')), []);
  });
});

describe('a rule that changes nothing', () => {
  it('is told, with the one that leaves it nothing', () => {
    const rules =
      '[{ from: [{ source: { namespaces: [shop, photo] } }] }, { from: [{ source: { namespaces: [photo] } }] }]';
    const [told = ''] = said(`{ rules: ${rules} }`);
    assert.equal(told, 'spec.rules[1]: rule 1 changes nothing: rule 0 matches all that it matches');
    assert.deepEqual(said(`{ rules: ${rules.replace('[shop, photo]', '[shop]')} }`), []);
  });
});

describe('callers that are not there', () => {
  it('are told, with the name that is nearest', () => {
    const principal = 'cluster.local/ns/photo/sa/fronted';
    assert.deepEqual(said(from(`principals: ["${principal}"]`)), [
      'spec.rules[0].from[0].source.principals: ' +
        'there is no service account "fronted" in namespace "photo"; did you mean "frontend"?',
    ]);
    assert.match(said(from('namespaces: ["photos"]')).join(), /"photos"; did you mean "photo"\?/);
    assert.match(said(from('serviceAccounts: ["nowhere/a"]')).join(), /no namespace "nowhere"/);
  });

  it('are not told of where they may be', () => {
    for (const source of [
      'principals: ["cluster.local/ns/photo/sa/frontend", "cluster.local/ns/shop/sa/web"]',
      'principals: ["cluster.local/ns/photo/*", "other.domain/ns/a/sa/b", "*"]',
      'namespaces: ["photo", "shop", "ph*"]',
      'serviceAccounts: ["photo/frontend"]',
      'notPrincipals: ["cluster.local/ns/photo/sa/gone"]',
    ]) {
      assert.deepEqual(said(from(source)), [], source);
    }
  });
});

describe('ports', () => {
  it('that no service leads to are told, with those that are led to', () => {
    const rule = '{ rules: [{ to: [{ operation: { ports: ["80"] } }] }] }';
    assert.match(said(rule).join(), /no service leads to port 80 of .*, but to 8080, 9090$/);
    assert.deepEqual(said(rule.replace('80', '8080')), []);
  });

  it('are not told of where no service leads to the workload', () => {
    const world = WORLD.replace('selector: { app: web }', 'selector: { app: none }');
    assert.deepEqual(said('{ rules: [{ to: [{ operation: { ports: ["80"] } }] }] }', world), []);
  });

  it('of a gateway are those of its servers, and HTTP where these end TLS', () => {
    const gateway = `${WORLD}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: shop }
spec:
  selector: { app: web }
  servers:
    - port: { number: 443, name: s, protocol: HTTPS }
      hosts: [x.example]
      tls: { mode: ISTIO_MUTUAL }
    - port: { number: 90, name: t, protocol: HTTP }
      hosts: [x.example]
`;
    const named = '{ rules: [{ to: [{ operation: { ports: ["443"], paths: [/a] } }] }] }';
    assert.match(said(named).join(), /no service leads to port 443/);
    assert.deepEqual(said(named, gateway), []);
    // The Service before it says that port 90 is not HTTP, and the server that it is.
    const all = '{ rules: [{ to: [{ operation: { paths: [/a] } }] }] }';
    assert.match(said(all).join(), /it allows nothing there/);
    assert.deepEqual(said(all, gateway), []);
  });

  it('without HTTP are told of where a rule needs it, and is for them', () => {
    const rule = '{ rules: [{ to: [{ operation: { paths: ["/a"] } }] }] }';
    assert.match(said(rule).join(), /paths cannot be known: it allows nothing there/);
    const deny = rule.replace('{ rules', '{ action: DENY, rules');
    assert.match(said(deny).join(), /matches without looking at them/);
    assert.deepEqual(said(to('paths: ["/a"]')), []);
  });
});
