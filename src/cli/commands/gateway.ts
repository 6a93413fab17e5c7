import { isIP } from 'node:net';
import type { Command } from 'commander';
import { defaultAddresses } from '#agent/config/agent-config.ts';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { BulwarkError } from '#base/errors.ts';
import { AGENT_SETTINGS, serveWorkloads } from '#cli/commands/agent.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { labelOf, nameOf } from '#cli/run/run-options.ts';
import { ensureGroup, ensureSecretReader } from '#cli/run/service-objects.ts';
import { addSettingOptions, settingsNearServer } from '#cli/settings-options.ts';

interface GatewayFlags {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly name?: string;
  readonly group?: string;
  readonly label: readonly string[];
  readonly bindAddress?: string;
  readonly tokenFile?: string;
  readonly readyFile?: string;
  readonly output: string;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/**
 * `bulwark gateway --namespace NS --service-account SA`: runs an Envoy with the ports of the
 * Gateways that select it, until it is asked to end.
 */
export function registerGatewayCommand(program: Command, context: CliContext): void {
  const command = program
    .command('gateway')
    .description('run a gateway: an Envoy that takes calls from outside of the mesh')
    .requiredOption('-n, --namespace <name>', 'namespace of the gateway')
    .requiredOption('--service-account <name>', 'service account: who the gateway is')
    .option('--name <name>', 'name of the gateway (default: the account)')
    .option('--group <name>', 'WorkloadGroup that says its labels; made if there is none')
    .option('--label <name=value>', 'label beside `app`, for a group that is made', collect, [])
    .option('--bind-address <ip>', 'address to listen on (default: every one of the machine)')
    .option('--token-file <file>', 'token of the service account, instead of a kubeconfig')
    .option('--ready-file <file>', 'write the status (JSON) here once the gateway serves')
    .addOption(outputOption(undefined, 'how readiness is said'));
  addSettingOptions(command, AGENT_SETTINGS).action(async (flags: GatewayFlags) => {
    const settings = await settingsNearServer(command, context);
    const workload = workloadOf(flags);
    if (settings.kubeconfig !== undefined) {
      const client = await connect(settings);
      const { namespace, serviceAccount, labels, group = '' } = workload;
      const log = context.logger(settings.logLevel).child({ component: 'agent' });
      try {
        log.info(await ensureGroup(client, { namespace, serviceAccount, labels, group }));
        log.info(await ensureSecretReader(client, { namespace, serviceAccount }));
      } finally {
        client.close();
      }
    }
    await serveWorkloads({ settings, workloads: [workload] }, flags, context);
  });
}

/** @throws BulwarkError CLI_USAGE that names the flag */
function workloadOf(flags: GatewayFlags): WorkloadOptions {
  const { bindAddress, tokenFile } = flags;
  const name = nameOf('--name', flags.name ?? flags.serviceAccount);
  if (bindAddress !== undefined && isIP(bindAddress) === 0) {
    const message = `--bind-address is "${bindAddress}"; accepted: an IP address`;
    throw new BulwarkError('CLI_USAGE', message, { remedy: 'see bulwark gateway --help' });
  }
  return {
    namespace: nameOf('--namespace', flags.namespace),
    serviceAccount: nameOf('--service-account', flags.serviceAccount),
    name,
    group: nameOf('--group', flags.group ?? name),
    mode: 'gateway',
    addresses: isOne(bindAddress) ? [bindAddress] : defaultAddresses('gateway'),
    bindAddress,
    labels: { app: name, ...Object.fromEntries(flags.label.map(labelOf)) },
    ports: [],
    upstreams: [],
    httpProxyPort: 0,
    tokenFile,
  };
}

/** Whether an address is that of one interface, where others reach it. */
function isOne(address: string | undefined): address is string {
  return address !== undefined && address !== '0.0.0.0' && address !== '::';
}
