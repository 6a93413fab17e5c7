// What `bulwark can --through` says of calls that come in through a gateway is what becomes of
// them: at its listener, its tokens, its policies and its routes, and at the service behind it.
import assert from 'node:assert/strict';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type TestContext, test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import type { CallSpelling } from '#cli/calls/call-spelling.ts';
import { readCall } from '#cli/calls/read-call.ts';
import { LiveCallers } from '#cli/policy-tests/live-callers.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import { Decider } from '#policy/decide/decider.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { freePort } from '../kit/free-port.ts';
import {
  type FrontPorts,
  frontYaml,
  HELLO,
  ISSUER,
  PARTNER,
  TOPOLOGY,
} from '../kit/front-gateway.ts';
import { secretObject } from '../kit/https-app.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { callPeer } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** A request from outside. */
interface Asked {
  readonly at: keyof FrontPorts;
  readonly path?: string;
  readonly host?: string;
  readonly forwardedFor?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Claims of a token that is sent. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The certificate that the caller shows: one for a name, or one of the mesh. */
  readonly certificate?: 'partner' | 'other' | 'mesh';
}

const TOKEN = { iss: ISSUER.issuer, sub: 'someone' };
const CASES: readonly Asked[] = [
  { at: 'plain', path: '/in/x' },
  { at: 'plain', path: '/in/admin/x' },
  { at: 'plain', path: '/x/../in/admin' },
  { at: 'plain', path: '/in/shut' },
  { at: 'plain', path: '/none' },
  { at: 'plain', path: '/in/teapot' },
  { at: 'plain', path: '/in/lost' },
  { at: 'plain', path: '/in/safe' },
  { at: 'plain', path: '/in/x', host: 'unknown.example.com' },
  { at: 'plain', path: '/in/x', host: 'bare.example.com' },
  { at: 'plain', path: '/in/x', host: 'good.wild.example.com' },
  { at: 'plain', path: '/in/x', host: 'bad.wild.example.com' },
  { at: 'plain', path: '/in/x', host: 'Bad.wild.example.com:8080' },
  { at: 'plain', path: '/in/x', host: 'wild.example.com' },
  { at: 'plain', path: '/in/x', host: 'moved.example.com' },
  { at: 'plain', path: '/in/admin', host: 'moved.example.com' },
  { at: 'plain', path: '/in/x', forwardedFor: '203.0.113.7' },
  { at: 'plain', path: '/in/x', forwardedFor: '203.0.113.7, 192.0.2.1' },
  { at: 'plain', path: '/in/x', forwardedFor: 'nobody' },
  { at: 'plain', path: '/in/user' },
  { at: 'plain', path: '/in/user', claims: TOKEN },
  { at: 'plain', path: '/in/user', claims: { ...TOKEN, iss: 'https://other.example' } },
  { at: 'plain', path: '/in/role', claims: { ...TOKEN, role: 'admin' } },
  { at: 'plain', path: '/in/role', claims: { ...TOKEN, role: ['some', 'admin'] } },
  { at: 'plain', path: '/in/role', claims: { ...TOKEN, role: 'user' } },
  { at: 'plain', path: '/in/claims', claims: TOKEN },
  { at: 'plain', path: '/in/claims', claims: { ...TOKEN, sub: 'bad' } },
  { at: 'plain', path: '/in/claims', claims: { ...TOKEN, level: { of: 7 } } },
  { at: 'plain', path: '/in/claims', headers: { 'x-who': 'bad' } },
  { at: 'plain', path: '/in/claims', claims: TOKEN, headers: { 'X-Payload': 'mine' } },
  { at: 'secured', path: '/in/x', host: 's.example.com' },
  { at: 'secured', path: '/in/safe', host: 's.example.com' },
  { at: 'plain', path: '/in/safe' },
  { at: 'secured', path: '/in/admin', host: 's.example.com' },
  { at: 'secured', path: '/in/x', host: 'unknown.example.com' },
  { at: 'secured', path: '/in/x', host: 'm.example.com' },
  { at: 'secured', path: '/in/x', host: 'm.example.com', certificate: 'partner' },
  { at: 'secured', path: '/in/x', host: 'm.example.com', certificate: 'other' },
  { at: 'secured', path: '/in/x', host: 'o.example.com' },
  { at: 'secured', path: '/in/x', host: 'o.example.com', certificate: 'other' },
  { at: 'secured', path: '/in/x', host: 'i.example.com' },
  { at: 'secured', path: '/in/x', host: 'i.example.com', certificate: 'mesh' },
  { at: 'secured', path: '/in/shut', host: 'i.example.com', certificate: 'mesh' },
  { at: 'kube', path: '/in/x' },
  { at: 'kube', path: '/inside' },
  { at: 'kube', path: '/in/admin' },
  { at: 'raw' },
  { at: 'shut' },
];

function spellingOf(asked: Asked, ports: FrontPorts): CallSpelling {
  const { at, path, host = HELLO, forwardedFor, headers: more, claims, certificate } = asked;
  const told = forwardedFor ? { 'x-forwarded-for': forwardedFor } : {};
  const isHttp = path !== undefined;
  const names = { partner: PARTNER, other: 'other.example', mesh: undefined };
  return {
    from: certificate === 'mesh' ? 'default/default' : 'outside',
    through: `edge/${at === 'kube' ? 'outside' : 'front'}:${ports[at]}`,
    ip: '127.0.0.1',
    certificate: certificate && names[certificate],
    ...(isHttp && { path, host, headers: { ...more, ...told } }),
    ...(claims && { token: { claims } }),
  };
}

type Certificates = Readonly<Record<'partner' | 'other' | 'mesh', TestCertificate>>;

/** The status of the answer; `none` when there is no answer. */
async function send(asked: Asked, ports: FrontPorts, certificates: Certificates): Promise<string> {
  const { at, path, host = HELLO, forwardedFor, headers: more, claims, certificate } = asked;
  const port = ports[at];
  if (path === undefined) {
    const { text } = await callPeer({ port, data: 'hello' }, /hello/);
    return text === 'hello' ? '200' : 'none';
  }
  const shown = certificate && certificates[certificate];
  const secured = {
    servername: host,
    rejectUnauthorized: false,
    ...(shown && { cert: shown.certificate, key: shown.privateKey }),
  };
  const headers = {
    host,
    ...more,
    ...(forwardedFor && { 'x-forwarded-for': forwardedFor }),
    ...(claims && { authorization: `Bearer ${ISSUER.token({ claims })}` }),
  };
  const isTls = at === 'secured';
  const options = { host: '127.0.0.1', port, path, headers, agent: false, ...(isTls && secured) };
  return status(options, isTls ? (httpsRequest as typeof httpRequest) : httpRequest);
}

function status(options: RequestOptions, make: typeof httpRequest): Promise<string> {
  return new Promise((resolve) => {
    const sent = make(options, (response) => resolve(`${response.resume().statusCode}`));
    sent.on('error', () => resolve('none'));
    sent.end();
  });
}

interface List {
  readonly items: readonly ApiObject[];
}

async function startMesh(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const [plain, secured, kube] = [await freePort(), await freePort(), await freePort()];
  const ports: FrontPorts = { plain, secured, kube, raw: await freePort(), shut: await freePort() };
  const yaml = frontYaml(ports, (await startTcpApp(t)).port);
  await mesh.apply(yaml);
  const authority = testAuthority();
  const own = authority.issue({ dnsNames: ['s.example.com'] });
  const values = { cert: own.certificate, key: own.privateKey, cacert: authority.root };
  const path = '/api/v1/namespaces/edge/secrets';
  await mesh.api.expect({ method: 'POST', path, body: secretObject('edge', 'cert', values) });
  const app = [{ name: 'http', port: await startEchoApp(t, 'hello') }];
  const workload = (namespace: string, name: string, more: object) => {
    return { namespace, serviceAccount: name, group: name, name: `${name}-1`, ...more };
  };
  await mesh.runAgent('agent', {
    workloads: [
      workload('greet', 'hello', { app: { ports: app } }),
      workload('edge', 'gate', { mode: 'gateway', bindAddress: '127.0.0.1' }),
    ],
  });
  const certificates = {
    partner: authority.issue({ dnsNames: [PARTNER] }),
    other: authority.issue({ dnsNames: ['other.example'] }),
    mesh: await certificateOfMesh(t, mesh),
  };
  const entries = '/apis/networking.istio.io/v1/namespaces/edge/workloadentries';
  const { items } = (await mesh.api.expect({ method: 'GET', path: entries })) as List;
  return { yaml, items, ports, certificates };
}

/** What the list leaves out; this gateway listens on loopback, where nobody else could call it. */
function written(object: ApiObject): ApiObject {
  const { spec } = object as { readonly spec?: object };
  const kind = { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry' };
  return { ...object, ...kind, spec: { ...spec, address: '127.0.0.1' } } as ApiObject;
}

async function certificateOfMesh(t: TestContext, mesh: RealMesh): Promise<TestCertificate> {
  const caller = await CertificateCaller.connect(mesh.data);
  t.after(() => caller.close());
  const keys = generateKeyPair();
  const { der } = await caller.sign(keys);
  const privateKey = privateKeyToPem(keys.privateKey).reveal();
  return { certificate: encodePem('CERTIFICATE', der), privateKey };
}

test('calls through a gateway end as bulwark can says', { timeout: 180_000 }, async (t) => {
  const { yaml, items, ports, certificates } = await startMesh(t);
  const { model } = testMesh([...objectsOf(yaml), ...items.map(written)], {
    gatewayTopology: TOPOLOGY,
  });
  const snapshot = model.snapshot();
  const decider = new Decider(snapshot);
  const expectedOf = (asked: Asked): string => {
    const { calls } = readCall(spellingOf(asked, ports), snapshot, 'default');
    const ends = calls.flatMap((call) => decider.follow(call, Date.now()));
    const texts = ends.map(({ decision: { decision, answer } }) =>
      decision === 'allow' ? '200' : (/^\d{3}/.exec(answer)?.[0] ?? 'none'),
    );
    assert.equal(new Set(texts).size, 1, JSON.stringify([asked, texts]));
    return texts[0] ?? '';
  };
  const live = await LiveCallers.of([]);
  /** `bulwark test --live` sends the same, where it can, and sees what policies say. */
  const isTriedLive = async (asked: Asked, expected: string): Promise<boolean> => {
    const [call] = readCall(spellingOf(asked, ports), snapshot, 'default').calls;
    const [followed] = call ? decider.follow(call, Date.now()) : [];
    assert.ok(followed);
    const answer = await live.send(followed.call);
    if ('skipped' in answer) return false;
    const { decision } = followed.decision;
    assert.equal(answer.decision, decision, JSON.stringify([asked, expected, answer]));
    return true;
  };
  // All was there before the gateway was: what it serves at all, it serves with its policies.
  for (const asked of [{ at: 'plain', path: '/in/x' }, { at: 'raw' }] as const)
    await waitUntil(async () => (await send(asked, ports, certificates)) === '200', 'it serves');
  const shut = { at: 'plain', path: '/in/shut' } as const;
  await waitUntil(async () => (await send(shut, ports, certificates)) === '403', 'the service');
  const mesh = { at: 'secured', path: '/in/x', host: 's.example.com' } as const;
  await waitUntil(async () => (await send(mesh, ports, certificates)) === '200', 'and TLS');
  const seen = new Set<string>();
  const wrong: string[] = [];
  let tried = 0;
  for (const asked of CASES) {
    const expected = expectedOf(asked);
    const got = await send(asked, ports, certificates);
    seen.add(got);
    tried += Number(await isTriedLive(asked, expected));
    if (got !== expected) wrong.push(`${JSON.stringify(asked)}: said ${expected}, got ${got}`);
  }
  assert.deepEqual(wrong, []);
  assert.ok(tried > 20, `only ${tried} were tried live`);
  for (const each of ['200', '301', '307', '401', '403', '404', '418', '503', 'none'])
    assert.ok(seen.has(each), `nothing was answered ${each}`);
});
