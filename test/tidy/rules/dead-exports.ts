import { type CodeFile, isTestFile, type Project, type Violation } from '../project.ts';
import { resolveImport } from './imports.ts';

/** Names taken from each file, by path; `all` when an import takes the whole module. */
type Uses = ReadonlyMap<string, { readonly names: Set<string>; all: boolean }>;

function usesBy(files: readonly CodeFile[]): Uses {
  const uses = new Map<string, { names: Set<string>; all: boolean }>();
  for (const file of files) {
    for (const { specifier, names } of file.facts.imports) {
      const target = resolveImport(file.path, specifier);
      if (target === undefined) continue;
      const use = uses.get(target) ?? { names: new Set<string>(), all: false };
      uses.set(target, use);
      if (names === 'all') use.all = true;
      else for (const name of names) use.names.add(name);
    }
  }
  return uses;
}

/** Files whose exports are found by name, not by import. */
function isEntry(path: string): boolean {
  return path.endsWith('.bench.ts') || path.endsWith('.test.ts');
}

/**
 * Whatever is exported is used by another file, and for product code by one that is no test. A type
 * that its own file uses (in the signature of what it exports) counts as used.
 */
export function checkDeadExports(project: Project): Violation[] {
  const byProduct = usesBy(project.code.filter((file) => !isTestFile(file.path)));
  const byAnybody = usesBy(project.code);
  return project.code
    .filter((file) => !isEntry(file.path))
    .flatMap((file) => {
      const use = (isTestFile(file.path) ? byAnybody : byProduct).get(file.path);
      if (use?.all) return [];
      return file.facts.exports
        .filter(({ name, kind }) => {
          const usedHere = kind === 'type' && (file.facts.identifiers.get(name) ?? 0) > 1;
          return !usedHere && !use?.names.has(name);
        })
        .map(({ name, line }) => ({
          path: file.path,
          line,
          message: byAnybody.get(file.path)?.names.has(name)
            ? `${name} is used by tests only`
            : `${name} is used nowhere`,
        }));
    });
}
