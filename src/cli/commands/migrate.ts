import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { ApiObject } from '#api/object.ts';
import { BulwarkError } from '#base/errors.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { addMeshOptions, type MeshFlags, type MeshRead, readMesh } from '#cli/mesh/read-mesh.ts';
import { migratedFiles, nameOf } from '#cli/migrate/migrate-files.ts';
import { writeText } from '#cli/read-objects.ts';
import type { MigrationFinding } from '#policy/migrate/draft.ts';
import { type Migration, migrate } from '#policy/migrate/migrate.ts';

interface MigrateFlags extends MeshFlags {
  readonly write?: boolean;
  readonly force?: boolean;
}

/**
 * `bulwark migrate`: the objects of older APIs as those of security.istio.io/v1, with the proof
 * that they mean the same. Exit code 1 where they do not, and then nothing is written.
 */
export function registerMigrateCommand(program: Command, context: CliContext): void {
  const command = program
    .command('migrate')
    .description(
      'turn objects of older APIs into those of today, and prove that they mean the same',
    );
  addMeshOptions(command)
    .option('--write', 'change the files instead of writing the new objects to standard output')
    .option('--force', 'write also what does not mean the same')
    .action(async (flags: MigrateFlags) => {
      if (flags.write && (flags.filename === undefined || flags.filename.includes('-'))) {
        throw new BulwarkError('CLI_USAGE', '--write needs the files to change: -f FILE');
      }
      const mesh = await readMesh(command, context, flags);
      await migrateMesh(mesh, flags, context);
    });
}

async function migrateMesh(mesh: MeshRead, flags: MigrateFlags, context: CliContext) {
  const migration = migrate(mesh.snapshot, { knowsAll: flags.filename === undefined });
  const tell = (line: string): unknown => context.stderr.write(`${line}\n`);
  if (migration.replaced.length === 0) {
    tell('There is no object of an older API.');
    return;
  }
  for (const finding of migration.findings) tell(shownFinding(finding, mesh));
  for (const object of migration.replaced) tell(shownChange(object, migration));
  if (!migration.isProven) process.exitCode = flags.force ? EXIT.ok : EXIT.failed;
  if (!migration.isProven && !flags.force) {
    tell('The new objects would not mean the same: see the errors above. Nothing was written.');
    return;
  }
  // What is in no file of ours has no comments to keep.
  if (flags.filename === undefined || flags.filename.includes('-')) {
    context.stdout.write(
      migration.made
        .map(({ object }) =>
          stringify(object, { schema: 'yaml-1.1', aliasDuplicateObjects: false }),
        )
        .join('---\n'),
    );
  } else {
    const files = await migratedFiles(migration, mesh);
    if (flags.write) for (const { file, text } of files) await writeText(file, text);
    else context.stdout.write(files.flatMap(({ documents }) => documents).join('---\n'));
  }
  if (migration.isProven) tell('Proven: every workload is decided about as before.');
}

/** `FILE:LINE: error: Policy shop/web: spec.peers: …`; without place for what a server has. */
function shownFinding({ object, ...one }: MigrationFinding, mesh: MeshRead): string {
  const place = mesh.placeOf(nameOf(object), one.field);
  const where = place === undefined ? '' : `${place.file}:${place.line}: `;
  const remedy = one.remedy === undefined ? '' : ` (${one.remedy})`;
  return `${where}${one.severity}: ${shown(object)}: ${one.field}: ${one.message}${remedy}`;
}

/** `Policy shop/web → PeerAuthentication shop/web`. */
function shownChange(object: ApiObject, { made, findings }: Migration): string {
  const news = made.filter(({ from }) => from.includes(object)).map((one) => shown(one.object));
  const isLost = findings.some((one) => one.object === object && one.severity === 'error');
  const nothing = isLost ? 'nothing: see the error' : 'nothing: it had no effect';
  return `${shown(object)} -> ${news.join(', ') || nothing}`;
}

function shown({ kind, metadata: { namespace, name } }: ApiObject): string {
  return `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}
