// What `bulwark can` says of a call is what becomes of it: the three tiers of the photo sample with
// real Envoys, under policies of every kind that decides, each call tried and asked about.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ApiObject } from '#api/object.ts';
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
  'addresses and headers of proxies': policy(
    'AuthorizationPolicy',
    'photo-ns',
    'no-addresses',
    '{action: DENY, rules: [{from: [{source: {remoteIpBlocks: [10.1.2.3]}}]},' +
      ' {when: [{key: "request.headers[x-forwarded-for]", values: ["10.9.9.9*"]}]},' +
      ' {when: [{key: "request.headers[x-real-ip]", values: ["*"]}]}]}',
  ),
  'what proxies say of a request': policy(
    'AuthorizationPolicy',
    'photo-ns',
    'said',
    '{action: DENY, rules: [{to: [{operation: {paths: [/photos]}}],' +
      ' when: [{key: "request.headers[x-forwarded-proto]", values: [http]}]},' +
      ' {to: [{operation: {paths: [/]}}],' +
      ' when: [{key: "request.headers[x-request-id]", values: ["*"]}]}]}',
  ),
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

interface Asked {
  readonly path: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

const CALLS: readonly Asked[] = [
  { path: '/photos', method: 'GET' },
  { path: '/photos/secret', method: 'GET' },
  { path: '//photos/./secret', method: 'GET' },
  { path: '/', method: 'GET' },
  { path: '/photos', method: 'POST' },
  { path: '/photos', method: 'GET', headers: { 'x-role': 'admin' } },
  { path: '/photos', method: 'GET', headers: { 'x-forwarded-for': '10.9.9.9, 10.7.7.7' } },
  { path: '/photos', method: 'GET', headers: { 'x-forwarded-for': '10.8.8.8, 10.1.2.3' } },
  { path: '/photos', method: 'GET', headers: { 'x-forwarded-for': '10.1.2.3, 10.8.8.8' } },
  { path: '/photos', method: 'GET', headers: { 'x-real-ip': '10.8.8.8' } },
  { path: '/photos', method: 'GET', headers: { 'x-forwarded-proto': 'https' } },
  { path: '/photos', method: 'GET', claims: ALICE },
  { path: '/photos', method: 'GET', claims: { ...ALICE, groups: ['others'] } },
  { path: '/photos', method: 'GET', claims: { ...ALICE, iss: 'https://other.example' } },
];

interface Tier {
  readonly workload: ExplicitWorkload;
  /** Calls of the application, by its HTTP proxy. */
  readonly proxy: KeepAliveClient;
}

/** The sample with its tiers running. */
class SampleWorld {
  readonly mesh: ExplicitMesh;
  readonly tiers = new Map<string, Tier>();
  readonly #sample: readonly ApiObject[];

  constructor(hardening: HardeningProfile) {
    const files = readdirSync(SAMPLE).filter((name) => name.endsWith('.yaml'));
    this.#sample = files.flatMap((name) => objectsOf(readFileSync(join(SAMPLE, name), 'utf8')));
    this.mesh = new ExplicitMesh(testMesh(this.#sample, { hardening }), testAuthority());
  }

  async start(t: TestContext): Promise<void> {
    for (const [namespace, name] of TIERS) {
      const http = await startEchoApp(t, name);
      const workload = await this.mesh.start(t, { namespace, name, ports: { http } });
      const proxy = new KeepAliveClient({ port: workload.httpProxyPort });
      t.after(() => proxy.close());
      this.tiers.set(`${namespace}/${name}`, { workload, proxy });
    }
  }

  put(objects: readonly ApiObject[]): void {
    this.mesh.mesh.put(...objects);
    this.mesh.publish();
  }

  /** Takes objects away; those of the sample that they replaced are back. */
  takeBack(objects: readonly ApiObject[]): void {
    this.mesh.mesh.remove(...objects);
    this.put(this.#sample);
  }

  /** What a caller gets: a status, or `reset`. */
  async send(from: string, to: string, call: Asked): Promise<string> {
    const [namespace, name] = to.split('/');
    const { path: target, method, claims } = call;
    const token = claims && ISSUER.token({ claims });
    const headers = { ...call.headers, ...(token && { authorization: `Bearer ${token}` }) };
    const port = this.tiers.get(to)?.workload.listenPort('http') ?? 0;
    const proxy = this.tiers.get(from)?.proxy;
    const client = proxy ?? new KeepAliveClient({ port });
    const origin = proxy ? `http://${name}.${namespace}` : '';
    try {
      const { status, body } = await client.ask({ target: origin + target, method, headers });
      return status === 403 && !body.startsWith('RBAC') ? `403 ${body}` : String(status);
    } catch {
      return 'reset';
    } finally {
      if (!proxy) client.close();
    }
  }
}

interface Comparison {
  readonly name: string;
  /** What the decision says that the caller gets: a status, or `reset`. */
  readonly expected: string;
  readonly reason: string;
  ask(): Promise<string>;
}

function comparisonsOf(world: SampleWorld, scenario: string): readonly Comparison[] {
  const snapshot = world.mesh.mesh.model.snapshot();
  const decider = new Decider(snapshot);
  const callers = [...world.tiers.keys(), 'outside'];
  return callers.flatMap((from) =>
    [...world.tiers.keys()].flatMap((to) =>
      CALLS.map((call): Comparison => {
        const { claims, ...request } = call;
        const spelling = { from, to, ...request, token: claims && { claims } };
        const [read] = readCall(spelling, snapshot, 'default').calls;
        assert.ok(read);
        const { answer, decidedBy } = decider.decide(read, Date.now());
        const isReset = answer.startsWith('the connection is reset');
        return {
          name: `${scenario}: ${from} → ${to} ${JSON.stringify(call)}`,
          expected: isReset ? 'reset' : (/^\d{3}/.exec(answer)?.[0] ?? '200'),
          reason: `${answer} (${decidedBy.reason})`,
          ask: () => world.send(from, to, call),
        };
      }),
    ),
  );
}

async function compare(t: TestContext, hardening: HardeningProfile): Promise<void> {
  const world = new SampleWorld(hardening);
  await world.start(t);
  const seen = new Map<string, number>();
  for (const [scenario, yaml] of Object.entries(SCENARIOS)) {
    const added = objectsOf(yaml).filter(Boolean);
    world.put(added);
    await world.mesh.settled();
    const comparisons = comparisonsOf(world, scenario);
    for (const { name, expected, reason, ask } of comparisons) {
      let got = '';
      // Endpoints may come a moment later than the rest.
      const agrees = async () => {
        got = await ask();
        return got === expected;
      };
      await waitUntil(agrees, name, { withinMs: 60_000 }).catch(() => {
        assert.fail(`${name}: got ${got}, but ${reason}`);
      });
      seen.set(expected, (seen.get(expected) ?? 0) + 1);
    }
    // Some agreed by chance before Envoy had them: they are asked once more.
    for (const { name, expected, ask } of comparisons.filter((_, index) => index % 4 === 0))
      assert.equal(await ask(), expected, name);
    world.takeBack(added);
  }
  assert.deepEqual([...seen.keys()].sort(), ['200', '401', '403', '503', 'reset']);
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
}

describe('bulwark can and the real Envoys', () => {
  for (const hardening of ['strict', 'istio'] as const)
    test(`agree on every call of the photo sample (profile ${hardening})`, (t) =>
      compare(t, hardening));
});
