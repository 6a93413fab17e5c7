import type { Command } from 'commander';
import { ADMIN_PATHS, type ProxiesView, type ProxyView } from '#admin/contract.ts';
import type { MtlsView } from '#admin/mtls.ts';
import type { Clock } from '#base/clock.ts';
import { systemClock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { permissiveNote } from '#cli/mtls/mtls-text.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';
import { parseGatewayRouteName } from '#xds/gateway-route-name.ts';

/** The types in the order in which they matter to traffic. */
const TYPES = ['cds', 'eds', 'lds', 'rds', 'ecds'] as const;

interface ProxyStatusFlags {
  readonly output: string;
}

/**
 * `bulwark proxy-status`: which proxies took their configuration? Exit code 1 when one refused
 * something, or nothing could be made for it, so that scripts see it.
 */
export function registerProxyStatusCommand(program: Command, context: CliContext): void {
  const command = program
    .command('proxy-status')
    .alias('ps')
    .description('show which proxies are connected and whether they took their configuration')
    .addOption(outputOption());
  addSettingOptions(command, ['kubeconfig']).action(async ({ output }: ProxyStatusFlags) => {
    const client = await connect(await settingsOf(command, context));
    try {
      const answer = await client.expect({ method: 'GET', path: ADMIN_PATHS.proxies });
      const { proxies } = answer as ProxiesView;
      const text = output === 'json' ? json(proxies) : table(proxies, systemClock);
      context.stdout.write(text);
      for (const line of refusals(proxies)) context.stderr.write(line);
      if (output !== 'json') context.stderr.write(await noteOf(client));
      const isBehind = proxies.some(({ types, failure }) => failure || types.some(refuses));
      if (isBehind) process.exitCode = EXIT.failed;
    } finally {
      client.close();
    }
  });
}

/** Plaintext is to be seen as long as it may come, not to be forgotten. */
async function noteOf(client: KubeClient): Promise<string> {
  const { status, body } = await client.send({ method: 'GET', path: ADMIN_PATHS.mtls });
  return status === 200 ? permissiveNote(body as MtlsView) : '';
}

function json(proxies: readonly ProxyView[]): string {
  return `${JSON.stringify({ proxies }, null, 2)}\n`;
}

function table(proxies: readonly ProxyView[], clock: Clock): string {
  if (proxies.length === 0) return 'No proxy is connected.\n';
  const header = ['NAME', 'IDENTITY', ...TYPES.map((type) => type.toUpperCase()), 'ENVOY', 'SINCE'];
  const rows = proxies.map((proxy) => [
    `${proxy.name}.${proxy.namespace}`,
    proxy.identity,
    ...TYPES.map((type) => proxy.types.find((one) => one.type === type)?.state ?? '-'),
    proxy.envoyVersion,
    formatDurationMs(Math.max(1000, clock.now() - Date.parse(proxy.connectedAt))),
  ]);
  return formatTable([header, ...rows]);
}

function refuses({ state }: ProxyView['types'][number]): boolean {
  return state === 'REJECTED';
}

function* refusals(proxies: readonly ProxyView[]): Iterable<string> {
  for (const { name, namespace, types, failure } of proxies) {
    if (failure)
      yield `nothing could be made for ${name}.${namespace}, which keeps what it has: ${failure}\n`;
    for (const { type, rejected, error } of types.filter(refuses)) {
      const what = `${type.toUpperCase()} ${rejected.map(explained).join(', ')}`;
      yield `${name}.${namespace} refused ${what}: ${error ?? 'no reason given'}\n`;
    }
  }
}

/** The name of a resource, with what a route configuration of a gateway is for. */
function explained(name: string): string {
  const route = parseGatewayRouteName(name);
  if (!route) return name;
  const { port, server } = route;
  const of = server ? `, server ${server.name} of Gateway ${server.gateway}` : ' of a gateway';
  return `${name} (port ${port}${of})`;
}
