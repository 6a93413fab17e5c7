import type { Command } from 'commander';
import { Agent } from '#agent/agent.ts';
import { ProcessGuard } from '#agent/process/process-guard.ts';
import { systemClock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { AGENT_SETTINGS, writeReadyFile } from '#cli/commands/agent.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { applicationEnvironment, runApplication } from '#cli/run/application.ts';
import { planRun, type RunFlags, type RunPlan } from '#cli/run/run-options.ts';
import { ensureServiceObjects } from '#cli/run/service-objects.ts';
import { addSettingOptions, settingsNearServer } from '#cli/settings-options.ts';

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/**
 * `bulwark run --namespace NS --service-account SA [--service NAME --port P] -- CMD`: the
 * application starts when its Envoy serves, and this command ends as the application does.
 */
export function registerRunCommand(program: Command, context: CliContext): void {
  const command = program
    .command('run')
    .description('run one application with its own agent and Envoy')
    .requiredOption('-n, --namespace <name>', 'namespace of the workload')
    .requiredOption('--service-account <name>', 'service account: who the workload is')
    .option('--name <name>', 'name of the workload (default: the service, or the account)')
    .option('--service <name>', 'service that the application is; made if there is none')
    .option('--port <port>', 'port of the application, given to it as PORT; 0 = a free one')
    .option('--service-port <port>', 'port of the service (default: that of the application)')
    .option('--protocol <name>', 'what the application speaks: http, http2, grpc or tcp', 'http')
    .option('--group <name>', 'WorkloadGroup to register in (default: the service)')
    .option('--upstream <host:port[=local]>', 'service to call by a local port', collect, [])
    .option('--label <name=value>', 'label of the workload', collect, [])
    .option('--address <ip>', 'address that peers call (default 127.0.0.1)')
    .option('--token-file <file>', 'token of the service account, instead of a kubeconfig')
    .option('--join-token <token>', 'join token, instead of a kubeconfig; others may see it in ps')
    .option('--join-token-file <file>', 'file with a join token, instead of a kubeconfig')
    .option('--ready-file <file>', 'write the status (JSON) here once Envoy serves')
    .option('--ready-timeout <duration>', 'how long Envoy may take until it serves', '60s')
    .argument('<command...>', 'the application and its arguments, after --')
    .passThroughOptions();
  addSettingOptions(command, AGENT_SETTINGS).action(
    async ([program = '', ...args]: string[], flags: RunFlags) => {
      const settings = await settingsNearServer(command, context);
      const plan = await planRun(flags);
      const log = context.logger(settings.logLevel).child({ component: 'agent' });
      if (plan.service) await makeSure(plan, settings, log);
      process.exitCode = await run({ program, args, plan, flags, settings, log, context });
    },
  );
}

interface Run {
  readonly program: string;
  readonly args: readonly string[];
  readonly plan: RunPlan;
  readonly flags: RunFlags;
  readonly settings: Settings;
  readonly log: Logger;
  readonly context: CliContext;
}

async function run({ program, args, plan, flags, settings, log, context }: Run): Promise<number> {
  const guard = new ProcessGuard({ searchPath: context.env.PATH }, { log });
  const agent = new Agent(
    { settings, workloads: [plan.workload], searchPath: context.env.PATH },
    { log, clock: systemClock, random: systemRandom, metrics: new Metrics() },
  );
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  try {
    await guard.start();
    await agent.start();
    const wait = { withinMs: plan.readyTimeoutMs, failFast: true, signal: stopped.signal };
    const status = await agent.whenReady(wait);
    if (flags.readyFile !== undefined) await writeReadyFile(flags.readyFile, status);
    log.info('starting the application', { command: program });
    const workload = status.workloads[0];
    const ports = workload?.ports;
    return await runApplication(
      {
        command: program,
        args,
        env: applicationEnvironment(context.env, ports, plan.port, workload?.workloadSocket),
        // Callers go elsewhere while the application ends its work.
        onSignal: () => void agent.drainInbound(),
      },
      { guard, log },
    );
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, stop);
    // The application is gone: nobody is left to drain for.
    await agent.close({ drain: false });
    await guard.close();
  }
}

/** What is done to the mesh is said; what cannot be done may have been done by somebody else. */
async function makeSure(
  { service, workload }: RunPlan,
  settings: Settings,
  log: Logger,
): Promise<void> {
  if (!service) return;
  const { tokenFile, joinToken, joinTokenFile } = workload;
  const hasToken = [tokenFile, joinToken, joinTokenFile].some((given) => given !== undefined);
  if (settings.kubeconfig === undefined && hasToken) {
    log.info('no kubeconfig: service and workload group must exist', { service: service.service });
    return;
  }
  if (settings.kubeconfig === undefined) {
    throw new BulwarkError('CLI_USAGE', 'neither --kubeconfig nor a token is given', {
      remedy: 'the server writes DATA/admin.kubeconfig; or set KUBECONFIG',
    });
  }
  const client = await connect(settings);
  try {
    for (const line of await ensureServiceObjects(client, service)) log.info(line);
  } finally {
    client.close();
  }
}
