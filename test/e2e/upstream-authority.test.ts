// Two real servers, one below the other: workloads of both, with real Envoys, trust one root; the
// server above may go away, and may change its root.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { BulwarkError } from '#base/errors.ts';
import { bulwark } from '../kit/bulwark.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh, startLoad, type Workload, waitForRenewals } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;

/** How the mesh below finds the service above. */
const entryOf = ({ inboundAddress, inbound }: Workload['ports']): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: shop }
spec:
  hosts: [web.above.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: ${inboundAddress}, ports: { http: ${inbound[0]?.listen} } }]
  subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/web"]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: shop }
spec: { host: web.above.example, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
`;

const rootsOf = (mesh: RealMesh): string => readFileSync(join(mesh.data, 'root-cert.pem'), 'utf8');

/** Puts a token of a service account into a file. */
async function writeToken(mesh: RealMesh, path: string, account: string): Promise<void> {
  const [namespace = '', name = ''] = account.split('/');
  writeFileSync(path, await mesh.requestToken(namespace, name), { mode: 0o600 });
}

test('a server below another one', { timeout: 240_000 }, async (t) => {
  const above = new RealMesh(t);
  const below = new RealMesh(t);
  const aboveArgs = [
    ...['--intermediate-authorities', 'istio-system/edge', '--intermediate-cert-ttl', '40s'],
    ...['--workload-cert-ttl', '6s'],
  ];
  await above.startServer(...aboveArgs);
  await above.apply(accountsYaml('istio-system', 'edge', 'stranger'));
  await above.apply(
    yamlOf(accountsYaml('shop', 'web'), serviceYaml('shop', 'web'), strictYaml('shop')),
  );
  const token = join(below.directory, 'token');
  const rootFile = join(below.directory, 'above.pem');
  writeFileSync(rootFile, rootsOf(above));
  const upstream = [
    ...['--upstream-ca', above.addresses.discovery, '--upstream-ca-root', rootFile],
    ...['--workload-cert-ttl', '6s'],
  ];
  const belowArgs = [...upstream, '--upstream-token-file', token];

  await t.test('does not begin as somebody who is not named, and says what to do', async () => {
    await writeToken(above, token, 'istio-system/stranger');
    const ports = ['--secure-port', '0', '--monitoring-port', '0'];
    const server = bulwark(['server', '--data', below.data, ...ports, ...belowArgs]);
    t.after(() => server.stop());
    const line = await server.waitForLine(
      (text) => (text.includes('intermediateAuthorities') ? text : undefined),
      WITHIN_MS,
    );
    assert.match(line, /may not have an authority/);
    await server.stop();
  });

  await writeToken(above, token, 'istio-system/edge');
  await below.startServer(...belowArgs);
  await below.apply(accountsYaml('shop', 'caller'));
  const port = await startEchoApp(t, 'web');
  const workload = (name: string, more: object = {}) => ({
    secretTtl: '6s',
    workloads: [workloadOf(name, more)],
  });
  const web = await above.startAgent(
    'agent-above',
    workload('web', { group: 'web', app: { ports: [{ name: 'http', port }] } }),
  );
  await below.apply(entryOf((await web('web')).ports));
  const caller = await below.startAgent('agent-below', workload('caller'));
  const proxy = (await caller('caller')).ports.httpProxyPort;
  const target = 'http://web.above.example/';
  const client = new KeepAliveClient({ port: proxy });
  t.after(() => client.close());

  await t.test('has the root of the one above, and their workloads talk', async () => {
    assert.equal(rootsOf(below), rootsOf(above));
    const answers = async () => (await client.ask({ target })).status === 200;
    await waitUntil(answers, 'the first answer', { withinMs: WITHIN_MS });
  });
  const load = startLoad(t, { port: proxy, target });
  const certified = (): Promise<number> => above.metric('bulwark_ca_intermediates_issued_total');

  await t.test('gets another certificate before its own is over', async () => {
    const before = await certified();
    const isRenewed = async () => (await certified()) > before;
    await waitUntil(isRenewed, 'another intermediate', { withinMs: WITHIN_MS });
    await waitForRenewals(() => caller('caller'), 2, WITHIN_MS);
  });

  await t.test(
    'may prove itself by a certificate that an agent keeps, in place of a token',
    async () => {
      const outputCerts = join(above.directory, 'edge');
      const identity = { namespace: 'istio-system', serviceAccount: 'edge', name: 'edge' };
      await above.startAgent('agent-edge', {
        secretTtl: '20s',
        workloads: [{ ...identity, mode: 'explicit', outputCerts }],
      });
      const isWritten = () => readFileSync(join(outputCerts, 'cert-chain.pem')).length > 0;
      await waitUntil(isWritten, 'the files of the agent');
      const before = await certified();
      await below.startServer(...upstream, '--upstream-certificates', outputCerts);
      const isRenewed = async () => (await certified()) > before;
      await waitUntil(isRenewed, 'another intermediate', { withinMs: WITHIN_MS });
      await below.startServer(...belowArgs);
    },
  );

  await t.test('goes on, also over a restart, while the one above is away', async () => {
    await above.killServer();
    await below.startServer(...belowArgs);
    await waitForRenewals(() => caller('caller'), 1, WITHIN_MS);
    await above.startServer(...aboveArgs);
  });

  await t.test('follows the root of the one above, each step of it', async () => {
    const count = (mesh: RealMesh) => rootsOf(mesh).split('BEGIN CERTIFICATE').length - 1;
    const first = rootsOf(above);
    for (const step of ['prepare', 'activate', 'taint', 'revoke'] as const) {
      // The server above waits for the site by itself: nobody here does.
      await waitUntil(() => rotate(above, step), step, { withinMs: WITHIN_MS, everyMs: 200 });
    }
    const isSame = () => rootsOf(below) === rootsOf(above);
    await waitUntil(isSame, 'the last step is known below', { withinMs: WITHIN_MS });
    await waitForRenewals(() => caller('caller'), 2, WITHIN_MS);
    assert.equal(count(below), 1);
    assert.notEqual(rootsOf(below), first);
  });

  const { failures } = await load.stop(100);
  assert.deepEqual(failures, []);

  await t.test('signs nothing any more once its certificate is over, and says so', async () => {
    await above.killServer();
    const ready = async () => (await fetch(`${below.addresses.monitoring}/ready`)).status;
    assert.equal(await ready(), 200);
    const isOver = async () => (await ready()) === 503;
    await waitUntil(isOver, 'the server below is not ready', { withinMs: WITHIN_MS });
    await above.startServer(...aboveArgs);
    const isBack = async () => (await ready()) === 200;
    await waitUntil(isBack, 'the server below is ready again', { withinMs: 60_000 });
  });
});

/** Takes a step when everybody is ready for it. */
async function rotate(mesh: RealMesh, step: string): Promise<boolean> {
  const { status, body } = await mesh.api.send({
    method: 'POST',
    path: ADMIN_PATHS.roots,
    body: { step, leaveBehind: [] },
  });
  if (status === 200) return true;
  if (status === 409) return false;
  throw new BulwarkError('CLI_CONNECTION_FAILED', `${status} ${JSON.stringify(body)}`);
}
