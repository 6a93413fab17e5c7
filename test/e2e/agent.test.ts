import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { parseCsrPem } from '#pki/csr.ts';
import { FakeControlPlane } from '../fakes/fake-control-plane.ts';
import { filesBelow, isAlive, startAgent, TEST_TOKEN, type TestAgent } from '../kit/agent.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient, SteadyLoad } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupYaml, policyYaml, serviceYaml, strictYaml, yamlOf } from '../kit/mesh-objects.ts';
import { objectsOf } from '../kit/objects.ts';
import { waitUntil } from '../kit/wait-until.ts';

const PHOTOS = { target: 'http://backend.shop/photos?key=secret' };
const READY = { withinMs: 60_000 };
/** A request for a certificate, and nothing beside it. */
const ONE_REQUEST =
  /^-----BEGIN CERTIFICATE REQUEST-----\n[\w+/=\n]+-----END CERTIFICATE REQUEST-----\n?$/;

/**
 * A control plane, a backend application, and one agent with the workloads `backend` and `caller`.
 */
async function startMesh(t: TestContext, certificateLifetimeMs = 3_600_000) {
  const control = new FakeControlPlane(t, testMesh(objectsOf(OBJECTS)));
  control.authority.lifetimeMs = certificateLifetimeMs;
  await control.start();
  const port = await startEchoApp(t, 'backend');
  const ports = [{ name: 'http', port, listen: 0 }];
  const agent = await startAgent(t, control, [
    { namespace: 'shop', name: 'backend', ports },
    {
      namespace: 'web',
      name: 'caller',
      upstreams: [{ host: 'backend.shop', port: 80, listen: 0 }],
    },
  ]);
  await agent.agent.whenReady(READY);
  const client = new KeepAliveClient({ port: proxyPort(agent) });
  t.after(() => client.close());
  await waitUntil(async () => (await client.ask(PHOTOS)).status === 200, 'the first answer');
  return { control, agent, client };
}

function proxyPort(agent: TestAgent): number {
  return agent.workload('caller').ports?.httpProxyPort ?? assert.fail('no ports');
}

/** The serial number of the certificate that an Envoy uses, by its own word. */
async function serialInEnvoy(agent: TestAgent, name: string): Promise<string> {
  const { body } = await new EnvoyAdmin(agent.workload(name).adminSocket).get('/certs');
  const { certificates } = JSON.parse(body) as {
    certificates: { cert_chain?: { serial_number: string }[] }[];
  };
  const serials = certificates.flatMap((entry) => entry.cert_chain ?? []);
  return serials[0]?.serial_number.replace(/^0+/, '') ?? 'none';
}

test('an agent and its Envoys', async (t) => {
  const mesh = await startMesh(t);

  await t.test('serve traffic with certificates that came over SDS', async () => {
    const { agent, client } = mesh;
    for (const name of ['backend', 'caller'])
      assert.equal(await serialInEnvoy(agent, name), agent.workload(name).certificate?.serial);
    const { body } = await client.ask(PHOTOS);
    assert.match(body, /URI=spiffe:\/\/cluster\.local\/ns\/web\/sa\/caller"/);
    assert.deepEqual(Object.keys(agent.workload('caller').secrets).sort(), ['ROOTCA', 'default']);
    assert.equal(agent.workload('caller').secrets.default?.state, 'accepted');
  });

  await t.test('take ports that nobody chose by hand, and open no other', async () => {
    const { agent } = mesh;
    const { ports, adminSocket } = agent.workload('backend');
    assert.equal(statSync(adminSocket).mode & 0o777, 0o600);
    const { body } = await new EnvoyAdmin(adminSocket).get('/listeners');
    const open = body
      .trim()
      .split('\n')
      .map((line) => line.split('::').at(-1));
    const expected = [ports?.httpProxyPort, ports?.inbound[0]?.listen];
    assert.deepEqual(open.sort(), expected.map((port) => `127.0.0.1:${port}`).sort());
  });

  await t.test('record what policy denies, with the policies that did not allow it', async () => {
    const { agent, client } = mesh;
    const answer = await client.ask({ target: 'http://backend.shop/admin?key=secret' });
    assert.equal(answer.status, 403);
    const refusal = await waitUntil(
      () => agent.workload('backend').refusals.find(({ path }) => path === '/admin'),
      'the record',
    );
    assert.equal(refusal.peer, 'spiffe://cluster.local/ns/web/sa/caller');
    assert.equal(refusal.method, 'GET');
    assert.deepEqual(refusal.policies, ['shop/photos-only']);
    const line = agent.logLines.find((text) => text.includes('denied by policy'));
    assert.match(line ?? '', /"workload":"backend\.shop"/);
    assert.match(line ?? '', /no ALLOW policy matches; in force: shop\/photos-only/);
  });

  await t.test('record who was turned away at the door', async () => {
    const { agent } = mesh;
    const port = agent.workload('backend').ports?.inbound[0]?.listen ?? 0;
    const plain = new KeepAliveClient({ port });
    await assert.rejects(plain.ask({ target: '/photos' }));
    plain.close();
    const refusal = await waitUntil(
      () => agent.workload('backend').refusals.find(({ kind }) => kind === 'connection'),
      'the record',
    );
    assert.equal(refusal.peer, undefined);
    assert.match(refusal.reason, /the connection was refused/);
  });

  await t.test('are shown by the status socket, read-only', async () => {
    const { agent } = mesh;
    const { statusSocket } = agent.agent.status;
    assert.equal(statSync(statusSocket).mode & 0o777, 0o600);
    const status = new EnvoyAdmin(statusSocket);
    const shown = JSON.parse((await status.get('/status')).body);
    assert.equal(shown.ready, true);
    assert.equal(shown.workloads[1].ports.httpProxyPort, proxyPort(agent));
    assert.equal((await status.get('/ready')).status, 200);
    assert.equal((await status.get('/ready/caller.web')).status, 200);
    assert.equal((await status.get('/ready/nobody.web')).status, 404);
    assert.equal((await status.get('/healthz')).status, 200);
    assert.match(
      (await status.get('/metrics')).body,
      /cert_expiry_seconds\{.*"caller\.web"\} 3\d{3}/,
    );
    assert.equal((await status.get('/else')).status, 404);
    assert.equal((await status.post('/status')).status, 405);
  });

  await t.test('keep private keys in memory and secrets out of the log', () => {
    const { agent } = mesh;
    const files = filesBelow(agent.runDirectory);
    assert.equal(files.size, 2, [...files.keys()].join());
    for (const [path, content] of files) assert.doesNotMatch(content, /PRIVATE KEY|MIG[A-Z]/, path);
    const log = agent.logLines.join('');
    assert.doesNotMatch(log, /PRIVATE KEY|key=secret/);
    assert.ok(!log.includes(TEST_TOKEN));
  });

  await t.test('go on without the control plane, and take up with it again', async () => {
    const { control, agent, client } = mesh;
    await control.stop();
    assert.equal((await client.ask(PHOTOS)).status, 200);
    assert.equal(agent.agent.status.ready, true);
    const before = control.connected.length;
    await control.start();
    await waitUntil(() => control.connected.length >= before + 2, 'both Envoys are back');
    control.mesh.remove(...objectsOf(OBJECTS).filter(({ kind }) => kind === 'AuthorizationPolicy'));
    control.publish();
    await waitUntil(
      async () => (await client.ask({ target: 'http://backend.shop/admin' })).status === 200,
      'the change is in force',
    );
    control.mesh.put(...objectsOf(OBJECTS).filter(({ kind }) => kind === 'AuthorizationPolicy'));
  });

  await t.test('start again, on the same ports, when Envoy is killed', async () => {
    const { agent } = mesh;
    const { envoy, ports } = agent.workload('caller');
    process.kill(envoy.pid ?? 0, 'SIGKILL');
    await waitUntil(() => agent.workload('caller').envoy.restarts === 1, 'the restart');
    const again = await agent.agent.whenReady(READY);
    const after = again.workloads.find(({ name }) => name === 'caller');
    assert.notEqual(after?.envoy?.pid, envoy.pid);
    assert.equal(after?.envoy?.lastExit?.signal, 'SIGKILL');
    assert.deepEqual(after?.ports, ports);
    const client = new KeepAliveClient({ port: proxyPort(agent) });
    assert.equal((await client.ask(PHOTOS)).status, 200);
    client.close();
  });

  await t.test('take other ports when somebody else has one', async (t) => {
    const { agent } = mesh;
    const { envoy, ports } = agent.workload('caller');
    process.kill(envoy.pid ?? 0, 'SIGKILL');
    const thief = createServer();
    t.after(() => thief.close());
    await waitUntil(
      () =>
        new Promise<boolean>((resolve) => {
          thief.once('error', () => resolve(false));
          // As Envoys do by default: two of them would share the port, each with half the calls.
          const where = { port: ports?.httpProxyPort, host: '127.0.0.1', reusePort: true };
          thief.listen(where, () => resolve(true));
        }),
      'the port is ours',
    );
    await waitUntil(
      () => {
        const { ready, ports: now } = agent.workload('caller');
        return ready && now?.httpProxyPort !== ports?.httpProxyPort;
      },
      'other ports',
      READY,
    );
    const client = new KeepAliveClient({ port: proxyPort(agent) });
    await waitUntil(async () => (await client.ask(PHOTOS)).status === 200, 'an answer');
    client.close();
  });

  await t.test('leave nothing behind', async () => {
    const { agent, control } = mesh;
    const pids = agent.agent.status.workloads.map(({ envoy }) => envoy?.pid ?? 0);
    assert.ok(pids.every(isAlive));
    await agent.agent.close();
    assert.ok(!pids.some(isAlive));
    assert.ok(!existsSync(agent.runDirectory));
    assert.deepEqual(
      control.rejections.filter((text) => !text.includes('cannot bind')),
      [],
    );
  });
});

test('certificates rotate under load without a failed request or a restart', async (t) => {
  const { agent, control, client } = await startMesh(t, 4000);
  const { envoy, certificate } = agent.workload('caller');
  const load = new SteadyLoad({ port: proxyPort(agent), ask: PHOTOS, connections: 2 });
  const rotations = (): number =>
    Math.min(...agent.agent.status.workloads.map(({ renewals }) => renewals));
  await waitUntil(() => rotations() >= 3, 'three rotations of both', READY);
  await waitUntil(
    async () => (await serialInEnvoy(agent, 'caller')) === serialOf(agent, 'caller'),
    'the last certificate is in use',
  );
  assert.notEqual(serialOf(agent, 'caller'), certificate?.serial);

  await control.stop();
  await waitUntil(() => agent.workload('caller').failures >= 1, 'a failed attempt');
  assert.match(agent.workload('caller').lastError ?? '', /certificate authority/);
  assert.equal((await client.ask(PHOTOS)).status, 200);
  const before = rotations();
  await control.start();
  await waitUntil(() => rotations() > before, 'rotations go on', READY);
  const report = await load.stop(100);
  assert.deepEqual(report.failures, []);
  assert.equal(agent.workload('caller').envoy.pid, envoy.pid);
  assert.equal(agent.workload('caller').envoy.restarts, 0);

  await t.test('each for the same identity, and for a new key that stays here', async () => {
    // One that was sent again after a failure is the same.
    const requests = new Set(control.authority.requests);
    const keys = new Map<string, Set<string>>();
    for (const request of requests) {
      assert.match(request, ONE_REQUEST);
      const { publicKey, requested } = parseCsrPem(request);
      const [identity = '', ...others] = requested.names.uris;
      assert.deepEqual(others, []);
      const key = Buffer.from(publicKey.spki).toString('hex');
      keys.set(identity, (keys.get(identity) ?? new Set()).add(key));
    }
    const identities = ['shop/sa/backend', 'web/sa/caller'];
    const expected = identities.map((one) => `spiffe://cluster.local/ns/${one}`);
    assert.deepEqual([...keys.keys()].sort(), expected);
    const distinct = [...keys.values()].reduce((sum, { size }) => sum + size, 0);
    assert.equal(distinct, requests.size);
    // Who called, by the word of the Envoy that let it in.
    assert.match(
      (await client.ask(PHOTOS)).body,
      /URI=spiffe:\/\/cluster\.local\/ns\/web\/sa\/caller"/,
    );
  });
});

function serialOf(agent: TestAgent, name: string): string | undefined {
  return agent.workload(name).certificate?.serial;
}

const OBJECTS = yamlOf(
  serviceYaml('shop', 'backend'),
  groupYaml('web', 'caller'),
  strictYaml('shop'),
  policyYaml(
    'shop',
    'photos-only',
    `{ action: ALLOW, rules: [{
      from: [{ source: { principals: [cluster.local/ns/web/sa/caller] } }],
      to: [{ operation: { paths: [/photos] } }]
    }] }`,
  ),
);
