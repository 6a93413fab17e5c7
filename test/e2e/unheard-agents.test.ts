// After a kill the server waits for agents that it knows by their certificates alone before it
// takes a step of the rotation; whoever took a certificate without an agent holds nobody up.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ADMIN_PATHS, type RootsRefusal } from '#admin/contract.ts';
import { LIMITS } from '#base/limits.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { accountsYaml, workloadOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;
const ATTEMPTS_MAX = 5;

/** How a step is answered. */
function step(mesh: RealMesh, name: string) {
  const body = { step: name, leaveBehind: [] };
  return mesh.api.send({ method: 'POST', path: ADMIN_PATHS.roots, body });
}

test('a rotation after a kill', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(accountsYaml('shop', 'web'));
  await mesh.startAgent('web', { workloads: [workloadOf('web')] });
  const memory = join(mesh.data, 'ca', 'trust-peers.json');
  const isKnown = () => existsSync(memory) && readFileSync(memory, 'utf8').includes('sa/web"');
  await waitUntil(isKnown, 'the server knows the agent', { withinMs: WITHIN_MS });
  assert.equal((await step(mesh, 'prepare')).status, 200);
  const caller = await CertificateCaller.connect(mesh.data);
  t.after(() => caller.close());
  await caller.sign();
  const pid = await mesh.agentPid('web');

  await t.test('waits for an agent that nothing but its certificate tells of', async () => {
    process.kill(pid, 'SIGSTOP');
    try {
      const { missing } = await refusalAfterKill(mesh, memory);
      assert.equal(missing.length, 1, JSON.stringify(missing));
      assert.equal(missing[0]?.name, 'web.shop');
      assert.match(missing[0]?.reason ?? '', /not heard since the start; waiting until/);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  await t.test('goes on as soon as it is back, whoever else had a certificate', async () => {
    const isTaken = async () => (await step(mesh, 'activate')).status === 200;
    await waitUntil(isTaken, 'the step is taken', { withinMs: WITHIN_MS, everyMs: 200 });
  });
});

/** Kills the server, takes its memory away, and asks for a step while it still waits. */
async function refusalAfterKill(mesh: RealMesh, memory: string): Promise<RootsRefusal> {
  for (let attempt = 1; ; attempt += 1) {
    await mesh.killServer();
    rmSync(memory, { force: true });
    const startedAt = Date.now();
    await mesh.startServer();
    const { status, body } = await step(mesh, 'activate');
    if (status === 409) return body as RootsRefusal;
    // A machine that is so slow that the wait was over has to try again.
    assert.ok(Date.now() - startedAt > LIMITS.agentsAwaitedMs, `${status} ${JSON.stringify(body)}`);
    assert.ok(attempt < ATTEMPTS_MAX, 'the machine is too slow');
    await step(mesh, 'abort');
  }
}
