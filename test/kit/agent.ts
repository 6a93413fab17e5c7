import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Agent } from '#agent/agent.ts';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import type { WorkloadStatus } from '#agent/status.ts';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { resolveSettings } from '#base/settings.ts';
import type { SettingName } from '#base/settings-table.ts';
import type { FakeControlPlane } from '../fakes/fake-control-plane.ts';

/** What a test says of a workload; the rest is filled in. */
export type WorkloadSketch = Pick<WorkloadOptions, 'namespace' | 'name'> & Partial<WorkloadOptions>;

/** A workload that has an Envoy. */
export type ProxiedWorkload = WorkloadStatus &
  Required<{ [K in 'envoy' | 'adminSocket']: NonNullable<WorkloadStatus[K]> }>;

/** An agent in this process, for a control plane of the test. */
export interface TestAgent {
  readonly agent: Agent;
  readonly runDirectory: string;
  /** Everything it logged, one JSON text each. */
  readonly logLines: readonly string[];
  workload(name: string): ProxiedWorkload;
}

/** The token that test workloads show; looks like one and says nothing. */
export const TEST_TOKEN = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl';

/** An explicit workload whose account and group have its name. */
function sketchWorkload(sketch: WorkloadSketch, tokenFile: string): WorkloadOptions {
  return {
    serviceAccount: sketch.name,
    group: sketch.name,
    mode: 'explicit',
    addresses: ['127.0.0.1'],
    labels: {},
    ports: [],
    upstreams: [],
    httpProxyPort: 0,
    tokenFile,
    ...sketch,
  };
}

/** Starts an agent; it ends with the test, also when that fails. Does not wait for readiness. */
export async function startAgent(
  test: Pick<TestContext, 'after'>,
  control: FakeControlPlane,
  workloads: readonly WorkloadSketch[],
  flags: Readonly<Partial<Record<SettingName, string>>> = {},
): Promise<TestAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'bw-'));
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, TEST_TOKEN, { mode: 0o600 });
  const caRoot = join(folder, 'root.pem');
  writeFileSync(caRoot, control.authority.rootPem);
  const runDirectory = join(folder, 'run');
  const logLines: string[] = [];
  const settings = resolveSettings({
    flags: {
      discoveryAddress: control.address,
      caRoot,
      runDirectory,
      envoyConcurrency: '1',
      drainDuration: '1s',
      logLevel: 'debug',
      ...flags,
    },
  });
  const agent = new Agent(
    {
      settings,
      workloads: workloads.map((workload) => sketchWorkload(workload, tokenFile)),
      searchPath: process.env.PATH,
    },
    {
      log: createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } }),
      clock: systemClock,
      random: systemRandom,
      metrics: new Metrics(),
    },
  );
  test.after(async () => {
    await agent.close({ drain: false });
    rmSync(folder, { recursive: true, force: true });
  });
  await agent.start();
  const workload = (name: string): ProxiedWorkload => {
    const found = agent.status.workloads.find((one) => one.name === name);
    if (!found?.envoy || !found.adminSocket) throw new Error(`the agent has no workload ${name}`);
    const { envoy, adminSocket } = found;
    return { ...found, envoy, adminSocket };
  };
  return { agent, runDirectory, logLines, workload };
}

/** The content of every plain file below a folder. */
export function filesBelow(folder: string): ReadonlyMap<string, string> {
  const names = readdirSync(folder, { recursive: true }).map(String);
  const isPlain = (path: string): boolean =>
    statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  const plain = names.map((name) => join(folder, name)).filter(isPlain);
  return new Map(plain.map((path) => [path, readFileSync(path, 'utf8')]));
}

/** Whether a process of this id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
