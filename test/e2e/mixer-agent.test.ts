// Rules of Mixer that Envoy cannot decide alone: its agent tells it what they need, and without the
// agent nothing that they cover gets through.
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { startTokenMesh } from '../kit/token-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const RULE = (match: string) => `
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: { name: deny, namespace: shop }
spec: { status: { code: 9, message: not this version } }
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: { name: nothing, namespace: shop }
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: versions, namespace: shop }
spec:
  match: '${match}'
  actions: [{ handler: deny.denier, instances: [nothing.checknothing] }]
`;
const BODY = 'FAILED_PRECONDITION:deny.denier.shop:not this version';

test('a rule that Envoy cannot decide alone', { timeout: 240_000 }, async (t) => {
  const { mesh, port } = await startTokenMesh(t);
  const client = new KeepAliveClient({ port });
  t.after(() => client.close());
  const ask = (target: string, version?: string) =>
    client.ask({ target, headers: version === undefined ? {} : { version } });
  // A machine under load may be late once: then the request is denied in other words.
  const becomes = (status: number, target: string, version?: string) =>
    waitUntil(
      async () => (await ask(target, version)).status === status,
      `${status} for ${target} with ${version}`,
    );
  const match =
    'request.url_path.startsWith("/api") && toLower(request.headers["version"]) != request.query_params["v"]';

  await t.test('is decided by what the agent tells', async () => {
    await mesh.apply(RULE(match));
    await becomes(412, '/api?v=1', '2');
    await waitUntil(async () => (await ask('/api?v=1', '2')).body === BODY, 'its own words');
    await becomes(200, '/api?v=abc', 'ABC');
    await becomes(412, '/api?v=abc', 'ABCD');
    // What is absent is not different.
    await becomes(200, '/api', 'ABC');
    await becomes(200, '/api?v=1');
    // As it is written, the first.
    await becomes(412, '/api?w=1&v=%31&v=1', '1');
    // The rule is not about it.
    await becomes(200, '/other?v=1', '2');
  });

  await t.test(
    'denies what it covers while the agent does not answer, and nothing else',
    async (t) => {
      const pid = await mesh.agentPid('web');
      t.after(() => process.kill(pid, 'SIGCONT'));
      process.kill(pid, 'SIGSTOP');
      assert.equal((await ask('/api?v=abc', 'ABC')).status, 403);
      assert.equal((await ask('/other?v=1', '2')).status, 200);
      process.kill(pid, 'SIGCONT');
      await becomes(200, '/api?v=abc', 'ABC');
      await becomes(412, '/api?v=1', '2');
    },
  );

  await t.test('follows its change, on a connection that is open', async () => {
    await mesh.apply(RULE(match.replace('!=', '==')));
    await becomes(200, '/api?v=1', '2');
    await becomes(412, '/api?v=abc', 'ABC');
    await mesh.apply(RULE('request.method == "PUT"'));
    await becomes(200, '/api?v=abc', 'ABC');
  });

  await t.test('is asked over a socket that is for the Envoy alone', async () => {
    const { workloads } = await mesh.agentStatus('web');
    const socket = workloads[0]?.sdsSocket ?? '';
    assert.equal(lstatSync(socket).mode & 0o777, 0o600);
    assert.equal(lstatSync(dirname(socket)).mode & 0o777, 0o700);
  });
});
