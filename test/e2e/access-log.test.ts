// What an Envoy writes down of connections that are no HTTP, where everything is to be written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, serviceObjects } from '../kit/objects.ts';
import { callPeer } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

test('connections of TCP are written down once each, at their end', {
  timeout: 240_000,
}, async (t) => {
  const objects = [
    ...serviceObjects('shop', 'backend', [{ name: 'tcp-db', port: 3307 }]),
    groupObject('web', 'caller'),
  ];
  const mesh = new ExplicitMesh(testMesh(objects, { accessLog: 'all' }), testAuthority());
  const { port } = await startTcpApp(t);
  const upstreams = [{ host: 'backend.shop.svc.cluster.local', port: 3307 }];
  const ports = { 'tcp-db': port };
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports });
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller', upstreams });
  const say = (at: number) => callPeer({ port: at, data: 'hello' }, /hello/);
  const lines = (kind: string) => backend.accessLog().filter((line) => line.kind === kind);

  await waitUntil(
    async () => (await say(caller.upstreamPort('backend.shop.svc.cluster.local'))).text === 'hello',
    'the mesh calls',
  );
  const ofMesh = () => lines('access').filter(({ peer }) => peer !== undefined);
  await waitUntil(() => ofMesh().length > 0, 'the call of the mesh is written down');
  assert.deepEqual(lines('plaintext'), [], 'callers of the mesh are not told of');
  assert.equal((await say(backend.listenPort('tcp-db'))).text, 'hello');
  // One when it was made, one at its end, which comes last.
  await waitUntil(() => lines('plaintext').length === 2, 'the agent is told');
  const ofStranger = lines('access').filter(({ peer }) => peer === undefined);
  assert.equal(ofStranger.length, 1);
  assert.equal(ofStranger[0]?.bytes_received, 5);
});
