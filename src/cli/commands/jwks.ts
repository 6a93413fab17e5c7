import type { Command } from 'commander';
import { ADMIN_PATHS, type JwksSourceView, type JwksView } from '#admin/contract.ts';
import { systemClock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';

interface OutputFlags {
  readonly output: string;
}

/**
 * `bulwark jwks`: whether the keys of the issuers of tokens are there. Exit code 1 when those of
 * one are not, so that scripts see it.
 */
export function registerJwksCommand(program: Command, context: CliContext): void {
  const jwks = program
    .command('jwks')
    .description('the keys of the issuers of tokens for end users');
  add(jwks, context, {
    name: 'status',
    description: 'show the issuers whose keys are fetched, and whether that works',
    method: 'GET',
  });
  add(jwks, context, {
    name: 'refresh',
    description: 'fetch the keys of every issuer now, and show what came of it',
    method: 'POST',
  });
}

function add(
  jwks: Command,
  context: CliContext,
  what: {
    readonly name: string;
    readonly description: string;
    readonly method: 'GET' | 'POST';
  },
): void {
  const command = jwks.command(what.name).description(what.description).addOption(outputOption());
  addSettingOptions(command, ['kubeconfig']).action(async ({ output }: OutputFlags) => {
    const client = await connect(await settingsOf(command, context));
    try {
      const body = what.method === 'POST' ? { body: {} } : {};
      const answer = await client.expect({ method: what.method, path: ADMIN_PATHS.jwks, ...body });
      const { sources } = answer as JwksView;
      context.stdout.write(
        output === 'json' ? `${JSON.stringify({ sources }, null, 2)}\n` : tableOf(sources),
      );
      for (const { place, error, state } of sources) {
        if (error !== undefined) context.stderr.write(`${place} (${state}): ${error}\n`);
      }
      if (sources.some(({ state }) => state === 'NO_KEYS')) process.exitCode = EXIT.failed;
    } finally {
      client.close();
    }
  });
}

function tableOf(sources: readonly JwksSourceView[]): string {
  if (sources.length === 0) return 'No policy names an issuer whose keys are fetched.\n';
  const rows = sources.map(({ from, place, state, keys, fetchedAt, usedBy }) => [
    place,
    from,
    state,
    String(keys),
    fetchedAt === undefined ? '-' : ago(fetchedAt),
    usedBy.join(', '),
  ]);
  return formatTable([['PLACE', 'FROM', 'STATE', 'KEYS', 'FETCHED', 'USED BY'], ...rows]);
}

/** Since an instant, in whole seconds: `4m12s ago`. */
function ago(instant: string): string {
  const seconds = Math.floor((systemClock.now() - Date.parse(instant)) / 1000);
  return `${formatDurationMs(Math.max(1, seconds) * 1000)} ago`;
}
