import type { Command } from 'commander';
import { ADMIN_PATHS, type TrustDomainView } from '#admin/contract.ts';
import { delay, systemClock } from '#base/clock.ts';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';

const POLL_MS = 250;
const LISTED_MAX = 20;

interface StatusFlags {
  readonly wait: string;
  readonly output: string;
}

/** `bulwark trust-domain status`: how far a change of the trust domain is, and who is missing. */
export function registerTrustDomainCommand(program: Command, context: CliContext): void {
  const parent = program
    .command('trust-domain')
    .description('the name of the mesh in every identity, and how it is changed');
  const command = parent
    .command('status')
    .description('show who does not follow the names of the trust domain yet')
    .option('--wait <duration>', 'how long to wait until nobody is missing', '0s')
    .addOption(outputOption());
  addSettingOptions(command, ['kubeconfig']).action(async (flags: StatusFlags) => {
    const client = await connect(await settingsOf(command, context));
    try {
      await showStatus(client, flags, context);
    } finally {
      client.close();
    }
  });
}

/** Ends with 1 while somebody is missing: the next step has to wait. */
async function showStatus(
  client: KubeClient,
  { wait, output }: StatusFlags,
  context: CliContext,
): Promise<void> {
  const waitMs = parseDurationMs(wait);
  if (waitMs === undefined)
    throw new BulwarkError('CLI_USAGE', `--wait ${wait} is no duration such as 90s`);
  const endMs = systemClock.monotonicMs() + waitMs;
  for (;;) {
    const answer = await client.expect({ method: 'GET', path: ADMIN_PATHS.trustDomain });
    const view = answer as TrustDomainView;
    const isOver = systemClock.monotonicMs() >= endMs || context.signal.aborted;
    if (view.missing.length > 0 && !isOver) {
      await delay(systemClock, POLL_MS, context.signal);
      continue;
    }
    const text = output === 'json' ? `${JSON.stringify(view, null, 2)}\n` : describe(view);
    context.stdout.write(text);
    process.exitCode = view.missing.length > 0 ? EXIT.failed : EXIT.ok;
    return;
  }
}

function describe({ trustDomain, aliases, workloads, missing, objects }: TrustDomainView): string {
  const lines = [
    `Trust domain: ${trustDomain}`,
    `Also taken:   ${aliases.length === 0 ? 'nothing' : aliases.join(', ')}`,
    `Workloads:    ${workloads}, of which ${missing.length} do not follow yet`,
    ...listed(missing.map(({ name, reason }) => `${name}: ${reason}`)),
  ];
  if (objects.length > 0) {
    lines.push('Objects that name an alias; they match nobody once it is dropped:');
    const shown = objects.map(({ alias, kind, namespace, name }) => {
      return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name} (${alias})`;
    });
    lines.push(...listed(shown));
  }
  if (missing.length > 0) lines.push('Wait before the next step.');
  else if (aliases.length === 0) lines.push('No change is under way.');
  else if (workloads === 0) lines.push('No workload has come back yet, if there is any.');
  else lines.push('Everybody follows: the next step can be taken (docs/guide/trust-domain.md).');
  return `${lines.join('\n')}\n`;
}

function listed(lines: readonly string[]): string[] {
  const rest = lines.length - LISTED_MAX;
  const shown = lines.slice(0, LISTED_MAX).map((line) => `  ${line}`);
  return rest > 0 ? [...shown, `  and ${rest} more`] : shown;
}
