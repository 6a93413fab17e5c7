import { isTestFile, type Project, type Violation } from '../project.ts';

const MANIFEST = 'package.json';

/** Packages that are run, not imported, and where. */
const TOOLS = new Set([
  '@biomejs/biome', // tools/lint.ts
  '@bufbuild/buf', // tools/setup/generate.js
  '@bufbuild/protoc-gen-es', // tools/setup/generate.js
  '@types/node', // tsconfig.json
]);

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The package of an import, or undefined for our own files and Node's modules. */
function packageOf(specifier: string): string | undefined {
  if (/^([.#]|node:)/.test(specifier)) return undefined;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/**
 * What product code imports is a dependency, and pinned exactly; every dependency is used. Those
 * that a machine may lack (optionalDependencies) are Node itself, found by its executable, and
 * packages with machine code that the product can do without.
 */
export function checkDependencies(project: Project): Violation[] {
  const file = project.texts.find(({ path }) => path === MANIFEST);
  if (!file) return [{ path: MANIFEST, line: 0, message: 'is missing' }];
  const manifest: Manifest = JSON.parse(file.text);
  const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = manifest;
  const product = { ...dependencies, ...optionalDependencies };
  const used = new Set<string>();
  const undeclared = project.code.flatMap(({ path, facts }) => {
    const declared = path.startsWith('src/') && !isTestFile(path) ? product : undefined;
    return facts.imports.flatMap(({ specifier, line }) => {
      const name = packageOf(specifier);
      if (name === undefined) return [];
      used.add(name);
      if (name in (declared ?? { ...product, ...devDependencies })) return [];
      return [{ path, line, message: `${name} is not in package.json for this code` }];
    });
  });
  const all = { ...product, ...devDependencies };
  const loose = Object.entries(all).filter(
    ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
  );
  const unused = Object.keys({ ...dependencies, ...devDependencies }).filter(
    (name) => !used.has(name) && !TOOLS.has(name),
  );
  const at = (message: string): Violation => ({ path: MANIFEST, line: 0, message });
  return [
    ...undeclared,
    ...loose.map(([name, version]) => at(`${name}: ${version} is no exact version`)),
    ...unused.map((name) => at(`${name} is used nowhere`)),
  ];
}
