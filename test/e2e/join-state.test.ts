// A machine that joined once is still itself after its agent, or the whole machine, started again;
// and has to join again once what it kept is over. Real server, agent and Envoy.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bulwark } from '../kit/bulwark.ts';
import { accountsYaml } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;

test('a machine that joined is itself after a restart', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(accountsYaml('vm-ns', 'db'));
  const tokenFile = join(mesh.directory, 'join-token');
  const stateDirectory = join(mesh.directory, 'state');
  const stateFile = join(stateDirectory, 'db.vm-ns.json');

  const giveToken = async (): Promise<void> => {
    const child = bulwark([
      ...['join', 'create', '-n', 'vm-ns', '--service-account', 'db'],
      ...['--kubeconfig', mesh.kubeconfig],
    ]);
    t.after(() => child.stop());
    const token = await child.waitForLine(
      (line) => (line.startsWith('bwj_') ? line : undefined),
      WITHIN_MS,
    );
    writeFileSync(tokenFile, token, { mode: 0o600 });
  };
  /** How often a join token was used, since the server started. */
  const joins = async (): Promise<number> =>
    (await mesh.metric('bulwark_ca_issued_total{method="join-token"}')) || 0;
  const config = {
    ...{ kubeconfig: undefined, secretTtl: '30s', stateDirectory, drainDuration: '1s' },
    workloads: [{ namespace: 'vm-ns', serviceAccount: 'db', joinTokenFile: tokenFile, name: 'db' }],
  };
  const killAgent = async (): Promise<void> => {
    const pid = await mesh.agentPid('agent');
    process.kill(pid, 'SIGKILL');
    await waitUntil(() => !isAlive(pid), 'the agent is gone', { withinMs: WITHIN_MS });
  };
  const serialOf = async (status: Awaited<ReturnType<typeof mesh.startAgent>>) =>
    (await status('db')).certificate.serial;

  await giveToken();
  let status = await mesh.startAgent('agent', config);
  await waitUntil(() => readFileSync(stateFile).length > 0, 'the certificate is kept');

  await t.test('keeps its key for itself', async () => {
    // It may be about to write the next one.
    const isAlone = () => readdirSync(stateDirectory).join() === 'db.vm-ns.json';
    await waitUntil(isAlone, 'nothing else is left');
    const modes = [stateDirectory, stateFile].map((path) => statSync(path).mode & 0o777);
    assert.deepEqual(modes, [0o700, 0o600]);
  });

  await t.test('goes on after its agent was killed, with what it had', async () => {
    const first = await serialOf(status);
    await killAgent();
    status = await mesh.startAgent('agent', config);
    assert.equal(await serialOf(status), first);
    const isRenewed = async () => (await serialOf(status)) !== first;
    await waitUntil(isRenewed, 'it renews itself', { withinMs: WITHIN_MS });
    assert.equal(await joins(), 1);
  });

  await t.test('goes on when everything was killed, as by a reboot', async () => {
    await killAgent();
    await mesh.killServer();
    await mesh.startServer();
    status = await mesh.startAgent('agent', config);
    assert.equal(await joins(), 0);
  });

  await t.test('has to join again once what it kept is over, and says so', async () => {
    const { notAfter } = (await status('db')).certificate;
    await killAgent();
    await waitUntil(() => Date.now() > Date.parse(notAfter), 'expiry', { withinMs: WITHIN_MS });
    const path = join(mesh.directory, 'agent.json');
    const agent = bulwark(['agent', '--config', path]);
    t.after(() => agent.stop());
    const said = (text: string) =>
      agent.waitForLine((line) => (line.includes(text) ? true : undefined), WITHIN_MS);
    await said('the kept certificate is not used');
    await said('bulwark join create');
    await giveToken();
    await agent.waitForLine((line) => line === 'ready' || undefined, WITHIN_MS);
    assert.equal(await joins(), 1);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
