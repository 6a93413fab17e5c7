import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { startEnvoy } from './envoy.ts';

test('an Envoy starts, answers on its admin socket, and leaves nothing behind', async (t) => {
  const hooks: (() => unknown)[] = [];
  const scope = { after: (hook?: unknown) => void hooks.push(hook as () => unknown) };
  const envoy = await startEnvoy(scope, { bootstrap: { node: { id: 'a', cluster: 'b' } } });
  t.after(() => envoy.stop());
  await envoy.ready();
  assert.equal(await envoy.stat('server.live'), 1);
  assert.equal(await envoy.stat('no.such.stat'), 0);
  await assert.rejects(envoy.admin('/nothing'), /404/);
  for (const hook of hooks.reverse()) await hook();
  assert.ok(envoy.process.exit);
  assert.equal(existsSync(envoy.directory), false);
});

test('an Envoy that refuses its bootstrap is an error that shows why', async (t) => {
  await assert.rejects(startEnvoy(t, { bootstrap: { nonsense: 1 } }), /nonsense/);
});
