import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { AgentStatus } from '#agent/status.ts';
import { FakeControlPlane } from '../fakes/fake-control-plane.ts';
import { isAlive, TEST_TOKEN } from '../kit/agent.ts';
import { startApiServer } from '../kit/api-server.ts';
import { bulwark } from '../kit/bulwark.ts';
import type { ManagedProcess } from '../kit/child-process.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { testMesh } from '../kit/mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;

/**
 * A control plane, and what its users need: root, token, and an empty folder for temporary files.
 */
async function setUp(t: TestContext) {
  const folder = temporaryDirectory(t);
  const control = new FakeControlPlane(t, testMesh([]));
  await control.start();
  const paths = {
    root: join(folder, 'root.pem'),
    token: join(folder, 'token'),
    config: join(folder, 'agent.json'),
    ready: join(folder, 'ready.json'),
    temporary: join(folder, 't'),
  };
  writeFileSync(paths.root, control.authority.rootPem);
  writeFileSync(paths.token, TEST_TOKEN, { mode: 0o600 });
  mkdirSync(paths.temporary);
  const workload = { namespace: 'web', serviceAccount: 'caller', tokenFile: paths.token };
  const config = {
    discoveryAddress: control.address,
    caRoot: paths.root,
    envoyConcurrency: 1,
    drainDuration: '1s',
    workloads: [workload],
  };
  const writeConfig = (changes: object = {}): void =>
    writeFileSync(paths.config, JSON.stringify({ ...config, ...changes }));
  writeConfig();
  const start = (args: readonly string[], env: Record<string, string> = {}): ManagedProcess => {
    const child = bulwark(args, { TMPDIR: paths.temporary, ...env });
    t.after(() => child.stop());
    return child;
  };
  const common = [
    ...['--discovery-address', control.address],
    ...['--ca-root', paths.root],
    ...['--namespace', 'web'],
    ...['--service-account', 'caller'],
  ];
  return { folder, control, paths, workload, writeConfig, start, common };
}

/** The status in the line that says that all is ready. */
function readyStatus(agent: ManagedProcess): Promise<AgentStatus> {
  return agent.waitForLine(
    (line) => (line.startsWith('{"ready":true') ? (JSON.parse(line) as AgentStatus) : undefined),
    WITHIN_MS,
  );
}

function envoyOf(status: AgentStatus): number {
  return status.workloads[0]?.envoy?.pid ?? assert.fail('no Envoy');
}

/** Waits for the end; gives the exit code and everything that was said. */
async function outcomeOf(child: ManagedProcess): Promise<{ code: number | null; said: string }> {
  await waitUntil(() => child.exit !== undefined, `${child.name} ends`, { withinMs: WITHIN_MS });
  return { code: child.exit?.code ?? null, said: child.lines.join('\n') };
}

describe('bulwark agent', () => {
  it('says when all is ready, and leaves nothing behind when it is asked to end', async (t) => {
    const { paths, start } = await setUp(t);
    const agent = start(['agent', '-c', paths.config, '-o', 'json', '--ready-file', paths.ready]);
    const status = await readyStatus(agent);
    assert.deepEqual(JSON.parse(readFileSync(paths.ready, 'utf8')).workloads[0].name, 'caller');
    assert.equal(readdirSync(paths.temporary).length, 1);
    agent.signal('SIGTERM');
    assert.equal((await outcomeOf(agent)).code, 0);
    assert.ok(!isAlive(envoyOf(status)));
    assert.deepEqual(readdirSync(paths.temporary), []);
  });

  it('ends as cleanly when its terminal goes', async (t) => {
    const { paths, start } = await setUp(t);
    const agent = start(['agent', '-c', paths.config, '-o', 'json']);
    const status = await readyStatus(agent);
    agent.signal('SIGHUP');
    assert.equal((await outcomeOf(agent)).code, 0);
    assert.ok(!isAlive(envoyOf(status)));
    assert.deepEqual(readdirSync(paths.temporary), []);
  });

  it('that is killed takes its Envoy along, and the next one takes its place', async (t) => {
    const { paths, start, writeConfig, folder } = await setUp(t);
    writeConfig({ runDirectory: join(folder, 'run') });
    const first = start(['agent', '-c', paths.config, '-o', 'json']);
    const envoy = envoyOf(await readyStatus(first));
    await first.kill();
    await waitUntil(() => !isAlive(envoy), 'the Envoy ends');
    const second = start(['agent', '-c', paths.config, '-o', 'json']);
    const again = await readyStatus(second);
    assert.ok(isAlive(envoyOf(again)));

    const third = start(['agent', '-c', paths.config]);
    const { code, said } = await outcomeOf(third);
    assert.equal(code, 1);
    assert.match(said, /another process listens on .*status\.sock/);
    assert.ok(isAlive(envoyOf(again)));
    second.signal('SIGINT');
    assert.equal((await outcomeOf(second)).code, 0);
    assert.deepEqual(readdirSync(join(folder, 'run')), []);
  });

  it('names every mistake in its configuration', async (t) => {
    const { paths, start, writeConfig } = await setUp(t);
    writeConfig({ workloads: [{ namespace: 'web', app: { ports: [{ name: 'http' }] } }] });
    const { code, said } = await outcomeOf(start(['agent', '-c', paths.config]));
    assert.equal(code, 1);
    assert.match(said, /workloads\[0\]\.serviceAccount is missing/);
    assert.match(said, /workloads\[0\]\.app\.ports\[0\]\.port must be a port number/);
    writeConfig({ secretTtl: 'soon' });
    assert.match((await outcomeOf(start(['agent', '-c', paths.config]))).said, /"secretTtl".*soon/);
    writeConfig({ caRoot: undefined });
    assert.match((await outcomeOf(start(['agent', '-c', paths.config]))).said, /--ca-root/);
    assert.deepEqual(readdirSync(paths.temporary), []);
  });

  it('says how to get an Envoy when there is none', async (t) => {
    const { paths, start } = await setUp(t);
    const agent = start(['agent', '-c', paths.config], { BULWARK_ENVOY: '/nonexistent/envoy' });
    const { code, said } = await outcomeOf(agent);
    assert.equal(code, 1);
    assert.match(said, /no executable file.*BULWARK_ENVOY/);
  });

  it('waits for a token that is not there yet', async (t) => {
    const { paths, start, writeConfig, workload, folder } = await setUp(t);
    const tokenFile = join(folder, 'late');
    writeConfig({ workloads: [{ ...workload, tokenFile }] });
    const agent = start(['agent', '-c', paths.config, '-o', 'json']);
    await agent.waitForLine(
      (line) => /no certificate yet.*|late/.test(line) || undefined,
      WITHIN_MS,
    );
    writeFileSync(tokenFile, TEST_TOKEN, { mode: 0o600 });
    await readyStatus(agent);
  });
});

describe('bulwark run', () => {
  it('starts the application behind its Envoy, and ends as it does', async (t) => {
    const { control, paths, start, common } = await setUp(t);
    const port = await startEchoApp(t, 'backend');
    control.mesh.put({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'backend', namespace: 'web' },
      spec: {
        hosts: ['backend.test'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'STATIC',
        endpoints: [{ address: '127.0.0.1', ports: { http: port } }],
      },
    } as never);
    const application = `
      import { get } from 'node:http';
      import { statSync } from 'node:fs';
      const ask = (...where) => new Promise((resolve) => get(...where, (answer) => {
        let body = '';
        answer.on('data', (chunk) => { body += chunk; });
        answer.on('end', () => resolve(answer.statusCode + ' ' + JSON.parse(body).path));
      }));
      const headers = { host: 'backend.test' };
      const { HTTP_PROXY, BULWARK_UPSTREAM_BACKEND_TEST_80: local } = process.env;
      const { hostname, port } = new URL(HTTP_PROXY);
      const path = 'http://backend.test/a';
      console.log('by proxy', await ask({ hostname, port, headers, path }));
      console.log('by port', await ask(new URL('http://' + local + '/b'), { headers }));
      console.log('port', process.env.PORT, 'proxy', process.env.HTTP_PROXY, process.env.NO_PROXY);
      const api = process.env.SPIFFE_ENDPOINT_SOCKET;
      console.log('api', api, statSync(api.slice('unix://'.length)).isSocket());
      process.exitCode = 7;`;
    const app = start([
      ...['run', ...common, '--token-file', paths.token, '--port', '0'],
      ...['--upstream', 'backend.test:80', '--ready-file', paths.ready],
      ...['--', process.execPath, '--input-type=module', '-e', application],
    ]);
    const { code, said } = await outcomeOf(app);
    assert.equal(code, 7, said);
    assert.match(said, /by proxy 200 .*\/a/);
    assert.match(said, /by port 200 \/b/);
    assert.match(said, /port \d+ proxy http:\/\/127\.0\.0\.1:\d+ localhost,127\.0\.0\.1,::1/);
    assert.match(said, /api unix:\/\/\/.*\/w0\/workload\.sock true/);
    const status = JSON.parse(readFileSync(paths.ready, 'utf8')) as AgentStatus;
    assert.ok(!isAlive(envoyOf(status)));
    assert.deepEqual(readdirSync(paths.temporary), []);
  });

  it('hands signals on and lets the application finish', async (t) => {
    const { paths, start, common } = await setUp(t);
    const application = `
      process.on('SIGTERM', () => { console.log('finishing'); process.exit(3); });
      console.log('up'); setInterval(() => {}, 1000);`;
    const app = start([
      ...['run', ...common, '--token-file', paths.token],
      ...['--', process.execPath, '-e', application],
    ]);
    await app.waitForLine((line) => line === 'up' || undefined, WITHIN_MS);
    app.signal('SIGTERM');
    const { code, said } = await outcomeOf(app);
    assert.equal(code, 3);
    assert.match(said, /finishing/);
    assert.deepEqual(readdirSync(paths.temporary), []);
  });

  it('does not start the application when it cannot get an identity', async (t) => {
    const { paths, start, common } = await setUp(t);
    const touch = ['--', process.execPath, '-e', 'console.log("was started")'];
    const noToken = start([
      'run',
      ...common,
      '--token-file',
      join(paths.temporary, 'no'),
      ...touch,
    ]);
    const missing = await outcomeOf(noToken);
    assert.equal(missing.code, 1);
    assert.match(missing.said, /token file .* cannot be used/);

    const other = new FakeControlPlane(t, testMesh([]));
    writeFileSync(paths.root, other.authority.rootPem);
    const wrongRoot = await outcomeOf(
      start([
        ...['run', ...common, '--token-file', paths.token],
        ...['--ready-timeout', '2s', ...touch],
      ]),
    );
    assert.equal(wrongRoot.code, 1);
    assert.match(wrongRoot.said, /not ready, 2s are over: .*did not prove/);
    assert.doesNotMatch(`${missing.said}${wrongRoot.said}`, /^was started/m);
  });

  it('refuses flags that make no sense', async (t) => {
    const { start, common } = await setUp(t);
    const { code, said } = await outcomeOf(start(['run', ...common, '--service', 'x', 'true']));
    assert.equal(code, 64);
    assert.match(said, /--service needs --port/);
  });

  it('says with 127 that there is no such program', async (t) => {
    const { paths, start, common } = await setUp(t);
    const args = ['--token-file', paths.token, '--', '/nonexistent/program'];
    assert.equal((await outcomeOf(start(['run', ...common, ...args]))).code, 127);
  });

  it('makes service and workload group, once', async (t) => {
    const { paths, start, common, folder } = await setUp(t);
    const directory = join(folder, 'api');
    mkdirSync(directory, { mode: 0o700 });
    const { kubeconfig, admin } = await startApiServer(t, { directory });
    await admin.post('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'web' },
    });
    const args = [
      ...['run', ...common, '--token-file', paths.token, '--kubeconfig', kubeconfig],
      ...['--service', 'shop', '--port', '8080', '--', 'true'],
    ];
    const first = await outcomeOf(start(args));
    assert.equal(first.code, 0, first.said);
    assert.match(first.said, /service web\/shop created/);
    assert.match(first.said, /workload group web\/shop created/);
    const second = await outcomeOf(start(args));
    assert.match(second.said, /service web\/shop exists/);
    assert.match(second.said, /workload group web\/shop exists/);
    const group = '/apis/networking.istio.io/v1/namespaces/web/workloadgroups/shop';
    const { body } = await admin.get(group);
    const { spec } = body as { spec: unknown };
    assert.deepEqual(spec, {
      metadata: { labels: { app: 'shop' } },
      template: { serviceAccount: 'caller', ports: { http: 8080 } },
    });
  });
});
