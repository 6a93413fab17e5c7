import { type CodeFile, isTestFile, type Project, type Violation } from '../project.ts';
import type { ExportFact } from '../syntax.ts';
import { resolveImport } from './imports.ts';

/** Names taken from a file; `all` when an import takes the whole module. */
interface Use {
  readonly names: Set<string>;
  all: boolean;
}

/** What is taken from each file, by path. */
function usesBy(files: readonly CodeFile[]): ReadonlyMap<string, Use> {
  const uses = new Map<string, Use>();
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
 * @param allowed `path: name` of exports that only tests use, for a reason; one that is not needed
 * is
 *   a breach too
 */
export function checkDeadExports(project: Project, allowed: readonly string[] = []): Violation[] {
  const byProduct = usesBy(project.code.filter((file) => !isTestFile(file.path)));
  const byAnybody = usesBy(project.code);
  const needless = new Set(allowed);
  const dead = project.code
    .filter((file) => !isEntry(file.path))
    .flatMap((file) => {
      const use = (isTestFile(file.path) ? byAnybody : byProduct).get(file.path);
      return unused(file, use).flatMap(({ name, line }): Violation[] => {
        const byTests = byAnybody.get(file.path)?.names.has(name) ?? false;
        if (byTests && needless.delete(`${file.path}: ${name}`)) return [];
        const message = `${name} is used ${byTests ? 'by tests only' : 'nowhere'}`;
        return [{ path: file.path, line, message }];
      });
    });
  const message = 'need not be excepted';
  return [...dead, ...[...needless].map((path) => ({ path, line: 0, message }))];
}

function unused(file: CodeFile, use: Use | undefined): readonly ExportFact[] {
  if (use?.all) return [];
  return file.facts.exports.filter(({ name, kind }) => {
    const usedHere = kind === 'type' && (file.facts.identifiers.get(name) ?? 0) > 1;
    return !usedHere && !use?.names.has(name);
  });
}
