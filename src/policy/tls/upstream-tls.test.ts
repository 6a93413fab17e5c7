import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Credential } from '#policy/tls/credential.ts';
import { ClientRules, ruleScope } from '#policy/tls/destination-rules.ts';
import { type UpstreamTls, upstreamTls } from '#policy/tls/upstream-tls.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const SERVICE = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
`);
const HOST = 'web.shop.svc.cluster.local';
const OUTSIDE = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: outside, namespace: shop }
spec: { hosts: [api.example.com], ports: [{ number: 443, name: http }], resolution: DNS }
`);

function rule(namespace: string, name: string, spec: string) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`);
}

const tls = (mode: string): string => `trafficPolicy: { tls: { mode: ${mode} } }`;

const NO_CREDENTIAL: Credential = { keyPair: undefined, trust: undefined };

interface Question {
  readonly host?: string;
  readonly client?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly subset?: string;
  readonly autoMtls?: boolean;
  readonly credential?: Credential;
  readonly outsideIsNamed?: boolean;
}

function decide(rules: ReturnType<typeof rule>, question: Question = {}): UpstreamTls {
  const mesh = testMesh([...SERVICE, ...OUTSIDE, ...rules]);
  const snapshot = mesh.model.snapshot();
  const { host = HOST, client = 'web', labels = {}, port = 80, subset = '' } = question;
  const service = snapshot.services.viewOf(client).byHost.get(host);
  assert.ok(service);
  const seen = new ClientRules(
    snapshot.destinationRules,
    { namespace: client, labels },
    mesh.settings,
  );
  const autoMtls = question.autoMtls ?? true;
  const { credential = NO_CREDENTIAL, outsideIsNamed = true } = question;
  return upstreamTls({
    service,
    port,
    rule: seen.ruleFor(service),
    subset,
    autoMtls,
    outsideIsNamed,
    credential: () => credential,
  });
}

test('without a rule mutual TLS goes to whom takes it, but never outside of the mesh', () => {
  assert.equal(decide([]).mode, 'auto');
  assert.equal(decide([], { autoMtls: false }).mode, 'plain');
  assert.equal(decide([], { host: 'api.example.com' }).mode, 'plain');
});

test('a rule covers a host by its full name, by a short name in its namespace, or by a wildcard', () => {
  for (const host of [
    HOST,
    'WEB.shop.svc.cluster.local',
    'web',
    "'*.shop.svc.cluster.local'",
    "'*'",
  ])
    assert.equal(decide(rule('shop', 'r', `{ host: ${host}, ${tls('DISABLE')} }`)).mode, 'plain');
  for (const host of ['we', "'*.web.shop.svc.cluster.local'", 'web.other.svc.cluster.local'])
    assert.equal(decide(rule('shop', 'r', `{ host: ${host}, ${tls('DISABLE')} }`)).mode, 'auto');
  assert.equal(decide(rule('web', 'r', `{ host: web, ${tls('DISABLE')} }`)).mode, 'auto');
});

test('rules of the caller come first, then of the service, then of the mesh', () => {
  const mesh = rule('istio-system', 'r', `{ host: '*.local', ${tls('DISABLE')} }`);
  const service = rule('shop', 'r', `{ host: ${HOST}, ${tls('ISTIO_MUTUAL')} }`);
  const caller = rule('web', 'r', `{ host: '*', ${tls('SIMPLE')} }`);
  assert.equal(decide(mesh).mode, 'plain');
  assert.equal(decide([...mesh, ...service]).mode, 'mesh');
  assert.equal(decide([...mesh, ...service, ...caller]).mode, 'originate');
  assert.equal(decide([...mesh, ...service, ...caller], { client: 'other' }).mode, 'mesh');
});

test('within a namespace the narrower host wins', () => {
  const wide = rule('shop', 'a', `{ host: '*.local', ${tls('DISABLE')} }`);
  const narrow = rule('shop', 'b', `{ host: web, ${tls('ISTIO_MUTUAL')} }`);
  assert.equal(decide([...wide, ...narrow]).mode, 'mesh');
});

test('a rule that is not exported does not count for callers elsewhere', () => {
  const own = rule('shop', 'r', `{ host: web, exportTo: ['.'], ${tls('DISABLE')} }`);
  assert.equal(decide(own).mode, 'auto');
  assert.equal(decide(own, { client: 'shop' }).mode, 'plain');
  const named = rule('shop', 'r', `{ host: web, exportTo: [web], ${tls('DISABLE')} }`);
  assert.equal(decide(named).mode, 'plain');
  assert.equal(decide(named, { client: 'other' }).mode, 'auto');
});

test('a rule may be for some callers of its namespace only', () => {
  const selecting = rule(
    'web',
    'r',
    `{ host: ${HOST}, workloadSelector: { matchLabels: { app: old } }, ${tls('DISABLE')} }`,
  );
  assert.equal(decide(selecting, { labels: { app: 'old' } }).mode, 'plain');
  assert.equal(decide(selecting, { labels: { app: 'new' } }).mode, 'auto');
});

test('settings of a port replace those of the whole, also where they say nothing of TLS', () => {
  const byPort = (settings: string) =>
    rule(
      'shop',
      'r',
      `{ host: web, trafficPolicy: { tls: { mode: DISABLE }, portLevelSettings: [${settings}] } }`,
    );
  assert.equal(
    decide(byPort('{ port: { number: 80 }, tls: { mode: ISTIO_MUTUAL } }')).mode,
    'mesh',
  );
  assert.equal(
    decide(byPort('{ port: { number: 81 }, tls: { mode: ISTIO_MUTUAL } }')).mode,
    'plain',
  );
  assert.equal(decide(byPort('{ port: { number: 80 } }')).mode, 'auto');
});

test('settings of a subset come before those of the whole', () => {
  const subsets = rule(
    'shop',
    'r',
    `{ host: web, ${tls('DISABLE')}, subsets: [{ name: v2, ${tls('ISTIO_MUTUAL')} }, { name: v1 }] }`,
  );
  assert.equal(decide(subsets, { subset: 'v2' }).mode, 'mesh');
  assert.equal(decide(subsets, { subset: 'v1' }).mode, 'plain');
});

test('TLS to an outside server verifies its name, unless the user says not to', () => {
  const host = 'api.example.com';
  const simple = decide(rule('shop', 'r', `{ host: ${host}, ${tls('SIMPLE')} }`), { host });
  assert.ok(simple.mode === 'originate');
  assert.deepEqual(simple.tls.subjectAltNames, [host]);
  assert.equal(simple.tls.sni, host);
  assert.ok(simple.tls.verifiesServer);
  const careless = decide(
    rule(
      'shop',
      'r',
      `{ host: ${host}, trafficPolicy: { tls: { mode: SIMPLE, insecureSkipVerify: true } } }`,
    ),
    { host },
  );
  assert.ok(careless.mode === 'originate' && !careless.tls.verifiesServer);
});

/** The decision for a rule of the caller's namespace that selects it. */
function decideSelected(settings: string, credential: Credential): UpstreamTls {
  const selector = 'workloadSelector: { matchLabels: { app: caller } }';
  const spec = `{ host: api.example.com, ${selector}, trafficPolicy: { tls: ${settings} } }`;
  const client = { client: 'web', labels: { app: 'caller' }, host: 'api.example.com' };
  return decide(rule('web', 'r', spec), { ...client, credential });
}

const KEY_PAIR = { certificates: 'c', privateKey: 'k' };
const TRUST = { roots: 'r', crl: undefined };

test('the profile istio verifies the name only where each request gives it', () => {
  const host = 'api.example.com';
  const named = (tls: string) => {
    const spec = `{ host: ${host}, trafficPolicy: { tls: ${tls} } }`;
    const found = decide(rule('shop', 'r', spec), { host, outsideIsNamed: false });
    assert.ok(found.mode === 'originate');
    return [found.tls.sni, found.tls.subjectAltNames];
  };
  assert.deepEqual(named('{ mode: SIMPLE }'), ['', []]);
  assert.deepEqual(named('{ mode: SIMPLE, sni: x.test }'), ['x.test', []]);
  assert.deepEqual(named('{ mode: SIMPLE, subjectAltNames: [y.test] }'), ['', ['y.test']]);
});

test('a Secret stands for files, where the rule selects the caller', () => {
  const settings = '{ mode: MUTUAL, credentialName: partner }';
  const mutual = decideSelected(settings, { keyPair: KEY_PAIR, trust: TRUST });
  assert.ok(mutual.mode === 'originate');
  assert.equal(mutual.tls.credential, 'partner');
  assert.equal(mutual.tls.clientCertificate, 'credential');
  const simple = decideSelected('{ mode: SIMPLE, credentialName: partner }', {
    keyPair: undefined,
    trust: TRUST,
  });
  assert.ok(simple.mode === 'originate');
  assert.equal(simple.tls.clientCertificate, undefined);
});

test('without what it needs of its Secret no connection is made', () => {
  const mutual = '{ mode: MUTUAL, credentialName: partner }';
  const simple = '{ mode: SIMPLE, credentialName: partner }';
  assert.equal(decideSelected(mutual, { keyPair: undefined, trust: TRUST }).mode, 'refuse');
  assert.equal(decideSelected(mutual, { keyPair: KEY_PAIR, trust: undefined }).mode, 'refuse');
  assert.equal(decideSelected(simple, { keyPair: KEY_PAIR, trust: undefined }).mode, 'refuse');
});

test('what cannot be done safely is not done at all', () => {
  const host = 'api.example.com';
  const credential = { keyPair: KEY_PAIR, trust: TRUST };
  for (const settings of ['{ mode: SIMPLE, credentialName: x }', '{ mode: MUTUAL }']) {
    const policy = `{ host: ${host}, trafficPolicy: { tls: ${settings} } }`;
    assert.equal(decide(rule('shop', 'r', policy), { host, credential }).mode, 'refuse', settings);
  }
});

test('behind a wildcard each request says whom it means; what is not HTTP cannot', () => {
  const wildcard = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: any, namespace: shop }
spec:
  hosts: ['*.example.org']
  ports: [{ number: 80, name: http }, { number: 90, name: tcp }]
`);
  const host = '*.example.org';
  const simple = (more: string) =>
    rule('shop', 'r', `{ host: '${host}', trafficPolicy: { tls: { mode: SIMPLE${more} } } }`);
  const http = decide([...wildcard, ...simple('')], { host });
  assert.ok(http.mode === 'originate');
  assert.deepEqual([http.tls.sni, http.tls.subjectAltNames], ['', []]);
  assert.equal(decide([...wildcard, ...simple('')], { host, port: 90 }).mode, 'refuse');
  const named = decide([...wildcard, ...simple(', sni: x.example.org')], { host, port: 90 });
  assert.ok(named.mode === 'originate');
  assert.deepEqual(named.tls.subjectAltNames, ['x.example.org']);
});

test('clients that see the same rules are of one scope', () => {
  const { destinationRules } = testMesh(
    rule('web', 'r', `{ host: ${HOST}, workloadSelector: { matchLabels: { app: old } } }`),
  ).model.snapshot();
  const scope = (namespace: string, app: string) =>
    ruleScope(destinationRules, { namespace, labels: { app } });
  assert.equal(scope('a', 'x'), scope('b', 'y'));
  assert.equal(scope('web', 'x'), scope('web', 'y'));
  assert.notEqual(scope('web', 'x'), scope('web', 'old'));
  const restricted = testMesh(rule('shop', 'r', `{ host: web, exportTo: [b] }`)).model.snapshot();
  const other = (namespace: string) =>
    ruleScope(restricted.destinationRules, { namespace, labels: {} });
  assert.notEqual(other('a'), other('b'));
});
