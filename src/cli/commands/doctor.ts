import type { Command } from 'commander';
import { defaultAddresses, readAgentConfig } from '#agent/config/agent-config.ts';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { AGENT_SETTINGS } from '#cli/commands/agent.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { examine, type Finding } from '#cli/doctor/finding.ts';
import { examineMachine } from '#cli/doctor/machine.ts';
import { examineRunningAgent } from '#cli/doctor/running-agent.ts';
import { examineServer } from '#cli/doctor/server.ts';
import { examineTokens } from '#cli/doctor/tokens.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsNearServer } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';

interface DoctorFlags {
  readonly config?: string;
  readonly namespace?: string;
  readonly serviceAccount?: string;
  readonly tokenFile?: string;
  readonly output: string;
}

/**
 * `bulwark doctor`: does this machine have all that an agent needs, and is a running one well? Exit
 * code 1 when something is missing; each finding says what to do.
 */
export function registerDoctorCommand(program: Command, context: CliContext): void {
  const command = program
    .command('doctor')
    .description('check what an agent on this machine needs, and say what to do')
    .option('-c, --config <file>', 'the configuration of the agent')
    .option('-n, --namespace <name>', 'namespace of a workload, without a configuration')
    .option('--service-account <name>', 'its service account')
    .option('--token-file <file>', 'its token')
    .addOption(outputOption());
  addSettingOptions(command, AGENT_SETTINGS).action(async (flags: DoctorFlags) => {
    const findings = await diagnose(command, flags, context);
    const healthy = findings.every(({ state }) => state !== 'failed');
    const text =
      flags.output === 'json'
        ? `${JSON.stringify({ healthy, findings }, null, 2)}\n`
        : report(findings);
    context.stdout.write(text);
    if (!healthy) process.exitCode = EXIT.failed;
  });
}

async function diagnose(
  command: Command,
  flags: DoctorFlags,
  context: CliContext,
): Promise<readonly Finding[]> {
  let workloads = workloadOf(flags);
  let entries: Readonly<Record<string, unknown>> | undefined;
  const { config } = flags;
  const configuration: Finding[] = [];
  if (config !== undefined) {
    const finding = await examine('configuration', async () => {
      const read = await readAgentConfig(config);
      workloads = read.workloads;
      entries = read.settings;
      return `${config}, workloads: ${workloads.length}`;
    });
    configuration.push(finding);
  }
  const settings = await settingsNearServer(command, context, entries);
  const agent = await examineRunningAgent(settings.runDirectory, systemClock);
  const machine = await examineMachine({
    envoyPath: settings.envoyPath,
    searchPath: context.env.PATH,
    runDirectory: settings.runDirectory,
    workloads,
    agentRuns: agent.runs,
  });
  const server = await examineServer(
    {
      address: settings.discoveryAddress,
      serverName: settings.discoveryServerName,
      caRoot: settings.caRoot,
    },
    systemClock,
  );
  const deps = { log: silentLogger, clock: systemClock };
  const tokens = await examineTokens({ workloads, settings }, deps);
  return [...configuration, ...machine, ...server, ...tokens, ...agent.findings];
}

/** A workload without a configuration, as `bulwark run` has it. */
function workloadOf(flags: DoctorFlags): readonly WorkloadOptions[] {
  const { namespace, serviceAccount, tokenFile } = flags;
  if (namespace === undefined || serviceAccount === undefined) return [];
  return [
    {
      namespace,
      serviceAccount,
      name: serviceAccount,
      mode: 'explicit',
      addresses: defaultAddresses('explicit'),
      labels: {},
      ports: [],
      upstreams: [],
      httpProxyPort: 0,
      tokenFile,
    },
  ];
}

function report(findings: readonly Finding[]): string {
  const rows = findings.flatMap(({ state, check, message, remedy }) => [
    [state, check, message],
    ...(remedy === undefined ? [] : [['', '', `-> ${remedy}`]]),
  ]);
  const failed = findings.filter(({ state }) => state === 'failed').length;
  const last = failed === 0 ? 'All that is required is there.' : `Failed: ${failed}.`;
  return `${formatTable(rows)}${last}\n`;
}
