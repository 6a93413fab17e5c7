import { dirname, join } from 'node:path/posix';
import { type CodeFile, isTestFile, type Project, type Violation } from '../project.ts';

/** Which rooms (folders of src/) or single files a room may import. */
export type ImportTable = ReadonlyMap<string, ReadonlySet<string>>;

/** Rooms outside src/, which may import anything and which nothing imports. */
const OUTSIDE = new Set(['test', 'bench', 'tools', 'bin']);

/**
 * Reads the table from the code block marked `imports` in ARCHITECTURE.md: `room → rooms` in each
 * line.
 * @throws Error when there is none or a line does not fit
 */
export function readImportTable(markdown: string): ImportTable {
  const block = /^```imports\n([\s\S]*?)^```/m.exec(markdown)?.[1];
  if (block === undefined) throw new Error('ARCHITECTURE.md has no code block "imports"');
  const rows = block.split('\n').filter((line) => line.trim() !== '');
  const table = new Map<string, ReadonlySet<string>>();
  for (const row of rows) {
    const [room, allowed, ...rest] = row.split('→').map((part) => part.trim());
    if (!room || allowed === undefined || rest.length > 0)
      throw new Error(`ARCHITECTURE.md, import table: "${row}" is not "room → rooms"`);
    if (table.has(room)) throw new Error(`ARCHITECTURE.md, import table: ${room} is there twice`);
    table.set(room, new Set(allowed.split(/\s+/).filter(Boolean)));
  }
  return table;
}

/**
 * The room of a file: the folder below src/, two levels deep where the table says so (`xds/serve`).
 */
function roomOf(path: string, table: ImportTable): string {
  const [top = '', first = '', second = ''] = path.split('/');
  if (top !== 'src') return top;
  return table.has(`${first}/${second}`) ? `${first}/${second}` : first;
}

/** The file that an import means, from the root; undefined for packages and Node's own modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('#gen/')) return specifier.slice(1);
  if (specifier.startsWith('#')) return `src/${specifier.slice(1)}`;
  if (specifier.startsWith('.')) return join(dirname(from), specifier);
  return undefined;
}

function problemOf(
  file: CodeFile,
  specifier: string,
  table: ImportTable,
  typeOnly: boolean,
): string | undefined {
  const target = resolveImport(file.path, specifier);
  if (target === undefined) return undefined;
  const from = roomOf(file.path, table);
  const to = roomOf(target, table);
  if (from === 'samples')
    return to === 'samples' ? undefined : `samples stand alone, without ${target}`;
  if (OUTSIDE.has(from) || isTestFile(file.path)) return undefined;
  if (specifier.startsWith('.')) return `src imports by "#": #${target.replace(/^src\//, '')}`;
  if (OUTSIDE.has(to) || to === 'samples' || isTestFile(target))
    return `src must not import ${target}`;
  const allowed = table.get(from);
  if (!allowed) return `the room ${from} is not in the import table of ARCHITECTURE.md`;
  const single = target.replace(/^src\//, '');
  const granted =
    allowed.has(to) || allowed.has(single) || (typeOnly && allowed.has(`${single}:types`));
  return from === to || granted ? undefined : `${from} must not import ${single}`;
}

/** Imports follow the table: dependencies go one way. */
export function checkImports(project: Project, table: ImportTable): Violation[] {
  return project.code.flatMap((file) =>
    file.facts.imports.flatMap(({ specifier, typeOnly, line }) => {
      const message = problemOf(file, specifier, table, typeOnly);
      return message ? [{ path: file.path, line, message }] : [];
    }),
  );
}
