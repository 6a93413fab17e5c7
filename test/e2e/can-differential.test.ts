// What `bulwark can` says of a call is what becomes of it: the three tiers of the photo sample with
// real Envoys, under policies of every kind that decides, each call tried and asked about.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCall } from '#cli/calls/read-call.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { Decider } from '#policy/decide/decider.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh, type ExplicitWorkload } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

const SAMPLE = fileURLToPath(new URL('../../samples/photo', import.meta.url));
const TIERS = [
  ['photo-ns', 'photo-frontend'],
  ['photo-ns', 'photo-backend'],
  ['datastore-ns', 'datastore'],
] as const;
const ISSUER = new TokenIssuer('https://issuer.example');
const ALICE = { iss: ISSUER.issuer, sub: 'alice', groups: ['viewers'] };
const FRONTEND = '{selector: {matchLabels: {app: photo-frontend}}';

function policy(kind: string, namespace: string, name: string, spec: string): string {
  const group = kind === 'DestinationRule' ? 'networking' : 'security';
  const head = `apiVersion: ${group}.istio.io/v1\nkind: ${kind}\n`;
  return `---\n${head}metadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
}

const KEYS = JSON.stringify(ISSUER.keySet);
const TOKENS = policy(
  'RequestAuthentication',
  'photo-ns',
  'users',
  `${FRONTEND}, jwtRules: [{issuer: '${ISSUER.issuer}', jwks: ${KEYS}}]}`,
);

function revocation(name: string): string {
  const identity = `spiffe://cluster.local/ns/photo-ns/sa/${name}`;
  const head = 'apiVersion: bulwark.mesh/v1alpha1\nkind: CertificateRevocation\n';
  return `---\n${head}metadata: {name: ${name}, uid: ${name}}\nspec: {identity: ${identity}}\n`;
}

/** What is added to the sample, and decides. */
const SCENARIOS: Readonly<Record<string, string>> = {
  'the sample as it is': '',
  'a DENY policy': policy(
    'AuthorizationPolicy',
    'photo-ns',
    'no-secrets',
    '{action: DENY, rules: [{to: [{operation: {paths: ["/photos/secret*"]}}]},' +
      ' {when: [{key: "request.headers[x-role]", values: [admin]}]}]}',
  ),
  'nothing is allowed in the mesh': policy('AuthorizationPolicy', 'istio-system', 'nothing', '{}'),
  'a client that turns mutual TLS off': policy(
    'DestinationRule',
    'photo-ns',
    'plain',
    '{host: "*.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}',
  ),
  'a server that takes plaintext only': policy(
    'PeerAuthentication',
    'photo-ns',
    'plain',
    '{selector: {matchLabels: {app: photo-frontend}}, mtls: {mode: DISABLE}}',
  ),
  'tokens are judged': TOKENS,
  'a token is needed': TOKENS.replace("', jwks", "', presence: REQUIRED, jwks"),
  'users may be viewers': `${TOKENS}${policy(
    'AuthorizationPolicy',
    'photo-ns',
    'photo-frontend-page',
    `${FRONTEND}, rules: [{from: [{source: {requestPrincipals: ["*"]}}],` +
      ' when: [{key: "request.auth.claims[groups]", values: [viewers]}]}]}',
  )}`,
  'principals are users': `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: users, namespace: photo-ns}
spec:
  targets: [{name: photo-frontend}]
  peers: [{mtls: {mode: PERMISSIVE}}]
  origins:
    - jwt:
        issuer: ${ISSUER.issuer}
        jwks: '${ISSUER.keySet}'
        triggerRules: [{excludedPaths: [{exact: /}]}]
  principalBinding: USE_ORIGIN
${policy(
  'AuthorizationPolicy',
  'photo-ns',
  'photo-frontend-page',
  `${FRONTEND}, rules: [{from: [{source: {principals: ["${ISSUER.issuer}/alice"]}}]},` +
    ' {to: [{operation: {paths: ["/"]}}]}]}',
)}`,
  'a token may be missing, or bad': `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: users, namespace: photo-ns}
spec:
  targets: [{name: photo-frontend}]
  peers: [{mtls: {mode: PERMISSIVE}}]
  originIsOptional: true
  origins: [{jwt: {issuer: ${ISSUER.issuer}, jwks: '${ISSUER.keySet}'}}]
`,
  'a caller is revoked': revocation('photo-frontend'),
  'a server is revoked': revocation('photo-backend'),
  'workloads of a namespace, but not one': policy(
    'AuthorizationPolicy',
    'photo-ns',
    'photo-backend-callers',
    '{selector: {matchLabels: {app: photo-backend}}, rules: [{from: [{source:' +
      ' {namespaces: ["*-ns"], notPrincipals: ["*/datastore"]}}]}]}',
  ),
};

const CALLS = [
  { path: '/photos', method: 'GET' },
  { path: '/photos/secret', method: 'GET' },
  { path: '//photos/./secret', method: 'GET' },
  { path: '/', method: 'GET' },
  { path: '/photos', method: 'POST' },
  { path: '/photos', method: 'GET', headers: { 'x-role': 'admin' } },
  { path: '/photos', method: 'GET', claims: ALICE },
  { path: '/photos', method: 'GET', claims: { ...ALICE, groups: ['others'] } },
  { path: '/photos', method: 'GET', claims: { ...ALICE, iss: 'https://other.example' } },
];

interface Tier {
  readonly workload: ExplicitWorkload;
  /** Calls of the application, by its HTTP proxy. */
  readonly proxy: KeepAliveClient;
}

/** What a caller sees, in the words of a decision's `answer`. */
async function answerOf(ask: () => Promise<{ status: number; body: string }>): Promise<string> {
  try {
    const { status, body } = await ask();
    if (status === 403 && !body.startsWith('RBAC')) return `403 ${body}`;
    return String(status);
  } catch {
    return 'reset';
  }
}

function expectedOf(answer: string): string {
  if (answer.startsWith('the connection is reset')) return 'reset';
  return /^\d{3}/.exec(answer)?.[0] ?? '200';
}

describe('bulwark can and the real Envoys', () => {
  for (const hardening of ['strict', 'istio'] as const)
    test(`agree on every call of the photo sample (profile ${hardening})`, (t) =>
      compare(t, hardening));
});

async function compare(t: TestContext, hardening: HardeningProfile): Promise<void> {
  const files = readdirSync(SAMPLE).filter((name) => name.endsWith('.yaml'));
  const sample = files.flatMap((name) => objectsOf(readFileSync(join(SAMPLE, name), 'utf8')));
  const mesh = new ExplicitMesh(testMesh(sample, { hardening }), testAuthority());
  const tiers = new Map<string, Tier>();
  for (const [namespace, name] of TIERS) {
    const http = await startEchoApp(t, name);
    const workload = await mesh.start(t, { namespace, name, ports: { http } });
    const proxy = new KeepAliveClient({ port: workload.httpProxyPort });
    t.after(() => proxy.close());
    tiers.set(`${namespace}/${name}`, { workload, proxy });
  }
  const send = (from: string, to: string, call: (typeof CALLS)[number]): Promise<string> => {
    const [namespace = '', name = ''] = to.split('/');
    const { path: target, method, claims } = call;
    const token = claims && ISSUER.token({ claims });
    const headers = { ...call.headers, ...(token && { authorization: `Bearer ${token}` }) };
    return answerOf(async () => {
      const caller = tiers.get(from);
      if (caller)
        return caller.proxy.ask({
          target: `http://${name}.${namespace}${target}`,
          method,
          headers,
        });
      const port = tiers.get(to)?.workload.listenPort('http') ?? 0;
      const client = new KeepAliveClient({ port });
      try {
        return await client.ask({ target, method, headers });
      } finally {
        client.close();
      }
    });
  };
  const seen = new Map<string, number>();
  for (const [what, yaml] of Object.entries(SCENARIOS)) {
    const added = objectsOf(yaml).filter(Boolean);
    mesh.mesh.put(...added);
    mesh.publish();
    const decider = new Decider(mesh.mesh.model.snapshot());
    for (const from of [...tiers.keys(), 'outside']) {
      for (const to of tiers.keys()) {
        for (const { claims, ...call } of CALLS) {
          const token = claims && { claims };
          const spelling = { from, to, ...call, token };
          const read = readCall(spelling, mesh.mesh.model.snapshot(), 'default');
          const [first] = read.calls;
          assert.ok(first);
          const { answer, decidedBy } = decider.decide(first, Date.now());
          const expected = expectedOf(answer);
          const name = `${what}: ${from} → ${to} ${JSON.stringify({ ...call, claims })}`;
          let got = '';
          await waitUntil(
            async () => {
              got = await send(from, to, { ...call, ...(claims && { claims }) } as never);
              return got === expected;
            },
            name,
            { withinMs: 5000 },
          ).catch(() => {
            assert.fail(`${name}: got ${got}, but ${answer} (${decidedBy.reason})`);
          });
          seen.set(expected, (seen.get(expected) ?? 0) + 1);
        }
      }
    }
    mesh.mesh.remove(...added);
    mesh.mesh.put(...sample);
    mesh.publish();
  }
  assert.deepEqual([...seen.keys()].sort(), ['200', '401', '403', '503', 'reset']);
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
}
