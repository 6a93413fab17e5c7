import type { Command } from 'commander';
import { Agent, type AgentOptions } from '#agent/agent.ts';
import { readAgentConfig } from '#agent/config/agent-config.ts';
import type { AgentStatus, WorkloadStatus } from '#agent/status.ts';
import { systemClock } from '#base/clock.ts';
import { keepCompiledCode } from '#base/compiled-code.ts';
import { writeFileAtomic } from '#base/files.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { SETTINGS, type SettingName } from '#base/settings-table.ts';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { untilEnded } from '#cli/until-ended.ts';

/** How readiness is said. */
interface ReadyFlags {
  readonly readyFile?: string;
  readonly output: string;
}

interface AgentFlags extends ReadyFlags {
  readonly config: string;
}

/** From a start that is done to what is kept of it: its Envoys have not much to do by then. */
const KEEP_CODE_MS = 500;

/** The settings that agents read. */
export const AGENT_SETTINGS = (Object.keys(SETTINGS) as SettingName[]).filter((name) =>
  (SETTINGS[name].scope as readonly string[]).includes('agent'),
);

/**
 * `bulwark agent --config FILE`: serves the workloads of the file until it is asked to end. Says
 * once on standard output, and in `--ready-file`, when all of them are ready.
 */
export function registerAgentCommand(program: Command, context: CliContext): void {
  const command = program
    .command('agent')
    .description('run the node agent: keys, certificates and an Envoy for each workload')
    .requiredOption('-c, --config <file>', 'YAML file with the workloads, and any settings by name')
    .option('--ready-file <file>', 'write the status (JSON) here once every workload is ready')
    .addOption(outputOption(undefined, 'how readiness is said'));
  addSettingOptions(command, AGENT_SETTINGS).action(async (flags: AgentFlags) => {
    const config = await readAgentConfig(flags.config);
    const settings = await settingsOf(command, context, config.settings);
    await serveWorkloads({ settings, workloads: config.workloads }, flags, context);
  });
}

/** Serves workloads until the user asks to end, and says when all of them are ready. */
export async function serveWorkloads(
  { settings, workloads }: Pick<AgentOptions, 'settings' | 'workloads'>,
  flags: ReadyFlags,
  context: CliContext,
): Promise<void> {
  const agent = new Agent(
    { settings, workloads, searchPath: context.env.PATH },
    {
      log: context.logger(settings.logLevel).child({ component: 'agent' }),
      clock: systemClock,
      random: systemRandom,
      metrics: new Metrics(),
    },
  );
  await agent.start();
  const ending = untilEnded(context.signal);
  try {
    const status = await Promise.race([agent.whenReady(), ending]);
    if (status) {
      await sayReady(status, flags, context);
      systemClock.after(KEEP_CODE_MS, keepCompiledCode);
    }
    await ending;
  } finally {
    await agent.close();
  }
}

/** What `--ready-file` and `--output json` hold. */
export async function writeReadyFile(path: string, status: AgentStatus): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(status)}\n`);
}

async function sayReady(
  status: AgentStatus,
  { readyFile, output }: ReadyFlags,
  { stdout }: CliContext,
): Promise<void> {
  if (readyFile !== undefined) await writeReadyFile(readyFile, status);
  if (output === 'json') stdout.write(`${JSON.stringify(status)}\n`);
  else stdout.write(`${status.workloads.map(lineOf).join('')}ready\n`);
}

/** `frontend.photo-ns spiffe://… proxy 127.0.0.1:30002`. */
function lineOf({ name, namespace, identity, ports }: WorkloadStatus): string {
  const proxy = ports ? `  HTTP proxy 127.0.0.1:${ports.httpProxyPort}` : '';
  return `${name}.${namespace}  ${identity}${proxy}\n`;
}
