import type { Command } from 'commander';
import type { KindDefinition } from '#api/kind.ts';
import { kindById } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { present } from '#base/assert.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { findingsOfStatus, type Standing, standingOf } from '#cli/enforcement/standing.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';
import { ENFORCED_KINDS } from '#policy/enforced-kinds.ts';

interface StatusFlags {
  readonly namespace?: string;
  readonly output: string;
}

/** One object with what its status says. */
interface StatusRow extends Standing {
  readonly kind: string;
  /** '' for a cluster-scoped one. */
  readonly namespace: string;
  readonly name: string;
  readonly findings: string | undefined;
}

/**
 * `bulwark status`: which policies every proxy enforces, and why others are not. Exit code 4 when
 * one is refused or not answered for, so that scripts see it.
 */
export function registerStatusCommand(program: Command, context: CliContext): void {
  const command = program
    .command('status [kind] [name]')
    .description('show on how many proxies policies are enforced, and what is wrong with them')
    .option('-n, --namespace <name>', 'only objects of this namespace')
    .addOption(outputOption());
  addSettingOptions(command, ['kubeconfig']).action(
    async (kind: string | undefined, name: string | undefined, flags: StatusFlags) => {
      const kinds = kindsNamed(kind);
      const client = await connect(await settingsOf(command, context));
      try {
        const rows = (await Promise.all(kinds.map((one) => rowsOf(client, one, flags)))).flat();
        const wanted = name === undefined ? rows : rows.filter((row) => row.name === name);
        if (name !== undefined && wanted.length === 0)
          throw new BulwarkError('API_NOT_FOUND', `there is no ${kind} "${name}"`);
        context.stdout.write(flags.output === 'json' ? json(wanted) : text(wanted));
        const isBehind = wanted.some(({ state }) => state === 'refused' || state === 'behind');
        if (isBehind) process.exitCode = EXIT.behind;
      } finally {
        client.close();
      }
    },
  );
}

/** @throws BulwarkError CLI_USAGE when no kind is called that, or none that proxies enforce */
function kindsNamed(wanted: string | undefined): readonly KindDefinition[] {
  const kinds = ENFORCED_KINDS.map((id) => present(kindById(id), `the kind ${id}`));
  if (wanted === undefined) return kinds;
  const lower = wanted.toLowerCase();
  const found = kinds.filter(({ id, plural, singular, shortNames }) =>
    [id, plural, singular, ...shortNames].includes(lower),
  );
  if (found.length > 0) return found;
  const names = kinds.map(({ singular }) => singular).join(', ');
  throw new BulwarkError('CLI_USAGE', `proxies enforce no ${wanted}, but: ${names}`);
}

async function rowsOf(
  client: KubeClient,
  { kind, apiVersion, plural, namespaced }: KindDefinition,
  { namespace }: StatusFlags,
): Promise<readonly StatusRow[]> {
  const isNarrowed = namespace !== undefined && namespaced;
  const place = isNarrowed ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const path = `/apis/${apiVersion}${place}/${plural}`;
  const { items } = (await client.expect({ method: 'GET', path })) as { items: ApiObject[] };
  return items.map((object) => ({
    kind,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    ...standingOf(object),
    findings: findingsOfStatus(object),
  }));
}

function json(rows: readonly StatusRow[]): string {
  return `${JSON.stringify({ objects: rows }, null, 2)}\n`;
}

function text(rows: readonly StatusRow[]): string {
  if (rows.length === 0) return 'There are no policies.\n';
  const header = ['KIND', 'NAMESPACE', 'NAME', 'STATE', 'WHAT'];
  const table = formatTable([
    header,
    ...rows.map(({ kind, namespace, name, state, message }) => [
      kind,
      namespace || '-',
      name,
      state.toUpperCase(),
      message,
    ]),
  ]);
  const findings = rows.flatMap(({ kind, namespace, name, findings: found }) =>
    found === undefined ? [] : [`${kind} ${namespace ? `${namespace}/` : ''}${name}: ${found}\n`],
  );
  return findings.length === 0 ? table : `${table}\n${findings.join('')}`;
}
