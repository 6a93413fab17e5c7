import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { type SyntaxFacts, syntaxFactsOf } from './syntax.ts';

/** One text file of the repository. */
export interface TextFile {
  /** From the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Without line ends. */
  readonly lines: readonly string[];
}

/** One file of our own TypeScript or JavaScript. */
export interface CodeFile extends TextFile {
  readonly facts: SyntaxFacts;
}

/** The repository as the rules see it. */
export interface Project {
  readonly code: readonly CodeFile[];
  /** Everything readable, code included. */
  readonly texts: readonly TextFile[];
  /** Every path there is, directories included, to check links against. */
  readonly paths: ReadonlySet<string>;
}

/** One breach of a rule; `line` counts from 1, 0 = the whole file. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

const CODE = new Set(['.ts', '.js', '.tsx']);
const TEXT = new Set([...CODE, '.md', '.json', '.yaml', '.yml', '.proto', '.html', '.css', '']);
const LEFT_OUT = new Set(['.git', 'node_modules', 'gen', 'dist', 'coverage']);

/** Reads the checkout at `root`; dependencies and generated code are left out. */
export function loadProject(root: string): Project {
  const files: Record<string, string> = {};
  const others: string[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (LEFT_OUT.has(entry.name)) continue;
      const path = join(directory, entry.name);
      const name = relative(root, path);
      if (entry.isDirectory()) {
        others.push(name);
        visit(path);
      } else if (TEXT.has(extname(entry.name))) files[name] = readFileSync(path, 'utf8');
      else others.push(name);
    }
  };
  visit(root);
  return projectOf(files, others);
}

/** A project made of texts by path; tests of the rules build theirs with it. */
export function projectOf(
  files: Readonly<Record<string, string>>,
  others: readonly string[] = [],
): Project {
  const texts = Object.entries(files)
    .map(([path, text]): TextFile => ({ path, text, lines: text.split('\n') }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const sources = texts.filter((file) => CODE.has(extname(file.path)));
  const facts = syntaxFactsOf(new Map(sources.map((file) => [file.path, file.text])));
  const code = sources.map((file): CodeFile => {
    const found = facts.get(file.path);
    if (!found) throw new Error(`${file.path} was not parsed`);
    return { ...file, facts: found };
  });
  return { code, texts, paths: new Set([...texts.map((file) => file.path), ...others]) };
}

/** Whether a file is test code: beside the code, or under test/. */
export function isTestFile(path: string): boolean {
  return path.startsWith('test/') || /\.(test|fuzz)\.ts$/.test(path);
}
