import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { EnvoySupervisor, type LaunchPlan } from '#agent/envoy/supervisor.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { ProcessGuard } from '#agent/process/process-guard.ts';
import { BulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

/** A supervisor of a shell script in the place of Envoy, on a clock that the test moves. */
async function setUp(
  t: TestContext,
  script: string,
  prepare?: (options: { portsAreTaken: boolean }) => Promise<LaunchPlan>,
) {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'envoy');
  writeFileSync(path, `#!/bin/sh\ncd ${directory}\n${script}\n`, { mode: 0o700 });
  const clock = new FakeClock();
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } });
  const guard = new ProcessGuard({ searchPath: process.env.PATH }, { log });
  await guard.start();
  const plan = { bootstrapPath: 'none', compulsoryPorts: [], ports: [8080] };
  const supervisor = new EnvoySupervisor(
    {
      binary: { path, version: '1.40.0' },
      concurrency: 1,
      drainMs: 1000,
      verbose: false,
      prepare: prepare ?? (async () => plan),
      onAccessLine: () => {},
      onChange: () => {},
    },
    {
      admin: new EnvoyAdmin(join(directory, 'admin.sock')),
      guard,
      log,
      clock,
      random: { bytes: () => new Uint8Array(), fraction: () => 0 },
      metrics: createAgentMetrics(new Metrics()),
    },
  );
  t.after(async () => {
    const closing = supervisor.close({ drain: false });
    clock.advance(5000);
    await closing;
    await guard.close();
  });
  await supervisor.start();
  return { supervisor, clock, logLines, plan, directory };
}

describe('the supervisor', () => {
  it('starts an Envoy that ends at once again, with growing pauses', async (t) => {
    const { supervisor, clock, logLines } = await setUp(t, 'echo "critical|main|no" >&2; exit 3');
    const pauses: number[] = [];
    for (let restarts = 0; restarts < 4; restarts += 1) {
      await waitUntil(
        () => supervisor.status.state === 'waiting' && supervisor.status.restarts === restarts,
        `run ${restarts} has ended`,
      );
      await waitUntil(() => clock.waitingMs.length === 1, 'the pause');
      pauses.push(clock.waitingMs[0] ?? 0);
      clock.advance(clock.waitingMs[0] ?? 0);
    }
    assert.deepEqual(pauses, [100, 200, 400, 800]);
    assert.deepEqual(supervisor.status.lastExit, { code: 3, signal: null });
    assert.match(logLines.join(''), /"code":"AGENT_ENVOY_EXITED"/);
    assert.match(logLines.join(''), /"envoyComponent":"main","text":"no"/);
  });

  it('kills an Envoy that does not end when it is asked to', async (t) => {
    const script = `trap '' TERM; touch up; while :; do sleep 1; done`;
    const { supervisor, clock, directory } = await setUp(t, script);
    await waitUntil(() => existsSync(join(directory, 'up')), 'it runs');
    const { pid } = supervisor.status;
    const closing = supervisor.close();
    clock.advance(4999);
    assert.ok(process.kill(pid ?? 0, 0), 'it has its time');
    clock.advance(1);
    await closing;
    assert.equal(supervisor.status.state, 'stopped');
    assert.equal(supervisor.status.lastExit?.signal, 'SIGKILL');
  });

  it('asks for other ports when one of ours is taken, not when another is', async (t) => {
    const asked: boolean[] = [];
    const line = (port: number) =>
      `echo "warning|config|cannot bind '127.0.0.1:${port}': Address already in use" >&2`;
    const script = `${line(9999)}; ${line(8080)}; exec sleep 600`;
    const { supervisor, clock } = await setUp(t, script, async ({ portsAreTaken }) => {
      asked.push(portsAreTaken);
      const ports = asked.length === 1 ? [8080] : [8081];
      return { bootstrapPath: 'none', compulsoryPorts: [], ports };
    });
    await waitUntil(() => supervisor.status.lastExit !== undefined, 'the first run is ended');
    await waitUntil(() => {
      clock.advance(100);
      return asked.length === 2;
    }, 'the second run');
    assert.deepEqual(asked, [false, true]);
    assert.equal(supervisor.status.lastExit?.signal, 'SIGTERM');
  });

  it('says why it cannot start one, and tries again', async (t) => {
    let attempts = 0;
    const { supervisor, clock } = await setUp(t, 'exec sleep 600', async () => {
      attempts += 1;
      if (attempts === 1) throw new BulwarkError('NET_PORT_TAKEN', 'port 80 is in use');
      return { bootstrapPath: 'none', compulsoryPorts: [], ports: [] };
    });
    await waitUntil(() => supervisor.status.state === 'waiting', 'the failure');
    assert.deepEqual(supervisor.status.unready, {
      reason: 'StartFailed',
      message: 'port 80 is in use',
    });
    await waitUntil(() => clock.waitingMs.length === 1, 'the pause');
    clock.advance(200);
    await waitUntil(() => supervisor.status.pid !== undefined, 'the second attempt');
  });
});
