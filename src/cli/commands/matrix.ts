import type { Command } from 'commander';
import { type CliContext, EXIT } from '#cli/context.ts';
import { changesBetween, type ReachChange } from '#cli/matrix/matrix-changes.ts';
import { filteredRows, type Grant, grantsOf, type MatrixFilter } from '#cli/matrix/matrix-rows.ts';
import { addMeshOptions, type MeshFlags, readMesh } from '#cli/mesh/read-mesh.ts';
import { outputOption } from '#cli/output-option.ts';
import { formatTable } from '#cli/table.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { matrixOf } from '#policy/decide/matrix.ts';
import { MESH } from '#policy/routing/source-match.ts';

interface MatrixFlags extends MeshFlags, MatrixFilter {
  readonly output: keyof typeof WRITERS;
  readonly all?: boolean;
  readonly compare?: readonly string[];
  readonly exitCode?: boolean;
}

/**
 * `bulwark matrix`: who may talk to whom, and about what; with `--compare`, what is different from
 * another version of the configuration.
 */
export function registerMatrixCommand(program: Command, context: CliContext): void {
  const command = program
    .command('matrix')
    .description('who may talk to whom')
    .addOption(outputOption(Object.keys(WRITERS)))
    .option('--all', 'also who may not')
    .option('--from <caller>', 'only this caller: NAMESPACE, NAMESPACE/ACCOUNT or outside')
    .option('--to <service>', 'only this service: NAMESPACE or NAMESPACE/SERVICE')
    .option('--compare <file...>', 'show what is different from the version in these files')
    .option('--exit-code', 'with --compare: exit code 3 when something is different');
  addMeshOptions(command).action(async (flags: MatrixFlags) => {
    const write = WRITERS[flags.output];
    const rowsOf = async (mesh: MeshFlags) => {
      const { snapshot } = await readMesh(command, context, mesh);
      for (const note of notesOn(snapshot)) context.stderr.write(`note: ${note}\n`);
      return filteredRows(matrixOf(snapshot), flags);
    };
    const now = await rowsOf(flags);
    if (flags.compare === undefined) {
      context.stdout.write(write.grants(grantsOf(now, flags.all === true)));
      return;
    }
    const changes = changesBetween(await rowsOf({ ...flags, filename: flags.compare }), now);
    context.stdout.write(write.changes(changes));
    if (flags.exitCode === true && changes.length > 0) process.exitCode = EXIT.denied;
  });
}

/** A matrix is about what services let in; callers may get around the routes of their proxy. */
function notesOn({ virtualServices }: MeshSnapshot): readonly string[] {
  const names = virtualServices
    .all()
    .filter(({ spec: { gateways = [] } = {} }) => gateways.length === 0 || gateways.includes(MESH))
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  if (names.length === 0) return [];
  const [shown, more] = [names.slice(0, NAMES_MAX), names.length - NAMES_MAX];
  const list = [...shown, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  return [`what services let in is shown; where VirtualServices (${list}) lead calls is not`];
}

const NAMES_MAX = 5;

/** A way in which the answer is written. */
interface Writer {
  grants(grants: readonly Grant[]): string;
  changes(changes: readonly ReachChange[]): string;
}

const WRITERS = {
  text: { grants: grantsTable, changes: changesText },
  json: {
    grants: (grants) => `${JSON.stringify({ grants }, null, 2)}\n`,
    changes: (changes) => `${JSON.stringify({ changes }, null, 2)}\n`,
  },
  dot: { grants: grantsGraph, changes: changesGraph },
} as const satisfies Readonly<Record<string, Writer>>;

function grantsTable(grants: readonly Grant[]): string {
  if (grants.length === 0) return 'Nobody may talk to anybody.\n';
  const rows = grants.flatMap(({ to, from, what }) => from.map((name) => [to, name, what]));
  return formatTable([['SERVICE', 'CALLER', 'MAY ASK FOR'], ...rows]);
}

function changesText(changes: readonly ReachChange[]): string {
  if (changes.length === 0) return 'Nothing is different.\n';
  const lines = changes.flatMap(({ to, from, before, after }) =>
    from.flatMap((name) => [
      ...(before === 'nothing' ? [] : [`- ${name} → ${to}: ${before}`]),
      ...(after === 'nothing' ? [] : [`+ ${name} → ${to}: ${after}`]),
    ]),
  );
  return `${lines.join('\n')}\n`;
}

function grantsGraph(grants: readonly Grant[]): string {
  return graph(
    grants.flatMap(({ to, from, what }) =>
      from.map((name) => edge(name, to, what, what === 'everything' ? 'solid' : 'dashed')),
    ),
  );
}

function changesGraph(changes: readonly ReachChange[]): string {
  return graph(
    changes.flatMap(({ to, from, before, after }) =>
      from.map((name) =>
        edge(name, to, `${before} → ${after}`, after === 'nothing' ? 'dotted' : 'bold'),
      ),
    ),
  );
}

function graph(edges: readonly string[]): string {
  return `${['digraph mesh {', '  rankdir=LR;', ...edges, '}'].join('\n')}\n`;
}

function edge(from: string, to: string, label: string, style: string): string {
  const quoted = [from, to, label].map((one) => JSON.stringify(one));
  return `  ${quoted[0]} -> ${quoted[1]} [label=${quoted[2]}, style=${style}];`;
}
