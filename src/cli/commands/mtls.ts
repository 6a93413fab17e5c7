import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { ADMIN_PATHS } from '#admin/contract.ts';
import type { MtlsView } from '#admin/mtls.ts';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { type JudgedPort, judgedPorts, pairsOf } from '#cli/mtls/judged-ports.ts';
import { pairsText, statusText } from '#cli/mtls/mtls-text.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';

type Output = 'table' | 'json' | 'yaml';

interface CommonFlags {
  readonly namespace?: string;
  readonly output: Output;
}

interface StatusFlags extends CommonFlags {
  readonly window: string;
  readonly check?: boolean;
}

interface PairsFlags extends CommonFlags {
  readonly conflicts?: boolean;
}

/** `bulwark mtls`: who takes what, who still calls in plaintext, and whether STRICT is safe. */
export function registerMtlsCommand(program: Command, context: CliContext): void {
  const mtls = program
    .command('mtls')
    .description('mutual TLS: who takes it, and who does not use it');
  const status = mtls
    .command('status')
    .description('show which connections each port takes and saw, and whether STRICT is safe')
    .option('--window <duration>', 'how long nobody may have come in plaintext', '24h')
    .option(
      '--check',
      'end with 1 unless every port is or may be STRICT and nothing is in conflict',
    );
  addCommon(status).action(async (flags: StatusFlags) => {
    const windowMs = parseDurationMs(flags.window);
    if (windowMs === undefined)
      throw new BulwarkError('CLI_USAGE', `--window ${flags.window} is no duration such as 24h`);
    const view = await read(status, context);
    const ports = judgedPorts(view, { namespace: flags.namespace, windowMs });
    const pairs = pairsOf(view, flags.namespace);
    const conflicts = pairs.filter(({ conflict }) => conflict !== undefined);
    const text =
      flags.output === 'table'
        ? statusText(ports, pairs)
        : written({ at: view.at, workloads: byWorkload(ports), conflicts }, flags.output);
    context.stdout.write(text);
    const isFine = conflicts.length === 0 && ports.every(({ strict }) => isReady(strict));
    if (flags.check && !isFine) process.exitCode = EXIT.failed;
  });
  const pairs = mtls
    .command('pairs')
    .description('show which TLS each client uses with each server, and which objects say so')
    .option('--conflicts', 'only connections that cannot be made');
  addCommon(pairs).action(async ({ namespace, conflicts, output }: PairsFlags) => {
    const view = await read(pairs, context);
    const shown = pairsOf(view, namespace).filter(
      ({ conflict }) => !conflicts || conflict !== undefined,
    );
    const text = output === 'table' ? pairsText(shown) : written({ pairs: shown }, output);
    context.stdout.write(text);
  });
}

function addCommon(command: Command): Command {
  command
    .option('-n, --namespace <name>', 'only of this namespace')
    .option('-A, --all-namespaces', 'of all namespaces, as without -n')
    .addOption(outputOption(['table', 'json', 'yaml']));
  return addSettingOptions(command, ['kubeconfig']);
}

async function read(command: Command, context: CliContext): Promise<MtlsView> {
  const client = await connect(await settingsOf(command, context));
  try {
    return (await client.expect({ method: 'GET', path: ADMIN_PATHS.mtls })) as MtlsView;
  } finally {
    client.close();
  }
}

function isReady({ state }: JudgedPort['strict']): boolean {
  return state === 'strict' || state === 'safe';
}

/** The workloads as the server tells them, each port with its verdict. */
function byWorkload(ports: readonly JudgedPort[]): readonly object[] {
  return [...Map.groupBy(ports, ({ workload }) => workload)].map(([workload, own]) => ({
    ...workload,
    ports: own.map(({ port, strict }) => ({ ...port, strict })),
  }));
}

function written(value: object, output: Exclude<Output, 'table'>): string {
  const plain: unknown = JSON.parse(JSON.stringify(value));
  return output === 'yaml' ? dump(plain) : `${JSON.stringify(plain, null, 2)}\n`;
}
