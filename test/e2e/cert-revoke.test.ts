// What `bulwark cert revoke` does to a mesh of processes, and what undoes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient, SteadyLoad } from '../kit/keep-alive-client.ts';
import { applicationYaml, groupYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const ACCOUNTS = ['backend', 'caller', 'thief'];
const OBJECTS = yamlOf(
  applicationYaml('shop', 'backend'),
  groupYaml('shop', 'caller'),
  groupYaml('shop', 'thief'),
);
const TARGET = 'http://backend.shop/';
/** Much longer than it takes (bench/mesh/revocation.bench.ts): busy machines must not fail it. */
const WITHIN_MS = 10_000;

test('bulwark cert revoke', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const http = await startEchoApp(t, 'backend');
  const workloads = ACCOUNTS.map((name) => {
    const ports = name === 'backend' ? [{ name: 'http', port: http }] : [];
    return workloadOf(name, { group: name, app: { ports } });
  });
  const status = await mesh.startAgent('agent', { workloads });
  const portOf = async (name: string) => (await status(name)).ports.httpProxyPort;
  const cert = (...words: readonly string[]) => mesh.command('cert', ...words);
  const client = new KeepAliveClient({ port: await portOf('thief') });
  t.after(() => client.close());
  const becomes = (wanted: number, withinMs = 30_000) =>
    waitUntil(
      async () => (await client.ask({ target: TARGET })).status === wanted || undefined,
      `${wanted}`,
      {
        withinMs,
        everyMs: 5,
      },
    );
  await becomes(200);
  const load = new SteadyLoad({
    port: await portOf('caller'),
    ask: { target: TARGET },
    connections: 2,
  });
  t.after(() => load.stop());

  await t.test('of a serial refuses the certificate until its workload has another', async () => {
    const { certificate } = await status('thief');
    const said = await cert('revoke', '--serial', certificate.serial, '--reason', 'keyCompromise');
    assert.match(said, /revoked/);
    await becomes(403, WITHIN_MS);
    assert.match(await cert('revocations'), /keyCompromise/);
    await waitUntil(
      async () => (await status('thief')).certificate.serial !== certificate.serial,
      'the workload asks for another one',
    );
    await cert('unrevoke', '--serial', certificate.serial);
    await becomes(200);
  });

  await t.test('of an identity ends it, over a restart, and can be undone', async () => {
    const { identity } = await status('thief');
    await cert('revoke', '--identity', identity);
    await becomes(403, WITHIN_MS);
    await mesh.startServer();
    await becomes(403);
    await cert('unrevoke', '--identity', identity);
    await becomes(200);
    assert.match(await cert('revocations'), /Nothing is revoked/);
  });

  await t.test('leaves everybody else alone', async () => {
    const { failed, failures } = await load.stop(50);
    assert.equal(failed, 0, failures.join(' | '));
  });
});
