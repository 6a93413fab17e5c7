import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { workloadKey } from '#agent/config/workload-options.ts';
import { ENVOY_VERSION_TESTED, findEnvoy } from '#agent/envoy/find-envoy.ts';
import { choosePorts } from '#agent/envoy/ports.ts';
import { RunDirectory } from '#agent/run-directory.ts';
import { examine, type Finding } from '#cli/doctor/finding.ts';

const NODE_MAJOR_MIN = 24;

export interface MachineOptions {
  readonly envoyPath: string | undefined;
  readonly searchPath: string | undefined;
  readonly runDirectory: string | undefined;
  readonly workloads: readonly WorkloadOptions[];
  /** Whether an agent of this run directory runs, which then holds the ports. */
  readonly agentRuns: boolean;
}

/** Looks at what an agent needs from its machine: programs, folder, ports. */
export async function examineMachine(options: MachineOptions): Promise<readonly Finding[]> {
  const { envoyPath, searchPath, runDirectory } = options;
  return [
    await examine('node', () => {
      const { node } = process.versions;
      if (Number.parseInt(node, 10) >= NODE_MAJOR_MIN) return `Node.js ${node}`;
      const remedy = `install Node.js ${NODE_MAJOR_MIN} or newer`;
      return { state: 'failed', message: `Node.js ${node} is too old`, remedy };
    }),
    await examine('envoy', async () => {
      const { path, version } = await findEnvoy({ envoyPath, searchPath });
      const message = `Envoy ${version} at ${path}`;
      if (version === ENVOY_VERSION_TESTED) return message;
      const remedy = `the version that was tested is ${ENVOY_VERSION_TESTED}`;
      return { state: 'warning', message, remedy };
    }),
    await examine('run directory', async () => {
      if (runDirectory === undefined) return 'a new temporary folder at each start';
      return await RunDirectory.examine(runDirectory);
    }),
    ...(await examinePorts(options)),
  ];
}

function examinePorts({ workloads, agentRuns }: MachineOptions): Promise<readonly Finding[]> {
  const explicit = workloads.filter(({ mode }) => mode === 'explicit');
  return Promise.all(
    explicit.map((workload) =>
      examine(`ports ${workloadKey(workload)}`, async () => {
        if (agentRuns) return { state: 'skipped', message: 'the running agent holds them' };
        await choosePorts(workload);
        return 'free';
      }),
    ),
  );
}
