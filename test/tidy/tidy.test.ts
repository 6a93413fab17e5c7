// The repository keeps its own rules (STYLE.md): each test applies one of them to every file.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES } from '#base/error-codes.ts';
import { referencePages } from '../../tools/docs/reference.ts';
import { loadProject, type Project, type Violation } from './project.ts';
import { checkDeadExports } from './rules/dead-exports.ts';
import { checkDependencies } from './rules/dependencies.ts';
import {
  checkAttacks,
  checkDecisions,
  checkLinks,
  checkRequirements,
  requirementIds,
} from './rules/documents.ts';
import { checkGlobals } from './rules/globals.ts';
import { checkImports, readImportTable } from './rules/imports.ts';
import { checkDocumented, checkNames } from './rules/names.ts';
import { checkFileLengths, checkFunctionLengths, checkLineLengths } from './rules/size.ts';
import { checkLockFile, checkWords } from './rules/words.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Ratchet {
  readonly openRequirements: number;
  readonly filesOver300: Readonly<Record<string, number>>;
}

/** Where a global may be used outside base, and why. */
const GLOBALS_ALLOWED: Readonly<Record<string, readonly string[]>> = {
  // The launcher hands the environment to the settings.
  'src/cli/main.ts': ['process.env'],
};

/** What only tests use, and why. */
const TEST_ONLY: readonly string[] = [
  // The other implementation of the store: what its contract means without a disk.
  'src/store/memory-store.ts: MemoryStore',
];

/** Ids that the requirements must have: from the shared specification where it is at hand. */
function wantedIds(): string[] {
  const shared = join(root, '../shared/spec/requirements.md');
  return existsSync(shared) ? requirementIds(readFileSync(shared, 'utf8')) : [];
}

function none(violations: readonly Violation[]): void {
  const lines = violations.map(({ path, line, message }) => `  ${path}:${line}: ${message}`);
  assert.equal(lines.length, 0, `${lines.length} breaches\n${lines.join('\n')}`);
}

describe('the repository', () => {
  const ratchet: Ratchet = JSON.parse(read('test/tidy/ratchet.json'));
  let project: Project;
  before(() => {
    project = loadProject(root);
  });

  test('imports follow the table of ARCHITECTURE.md', () =>
    none(checkImports(project, readImportTable(read('ARCHITECTURE.md')))));
  test('files are short', () => none(checkFileLengths(project, ratchet.filesOver300)));
  test('functions are short', () => none(checkFunctionLengths(project)));
  test('lines are short', () => none(checkLineLengths(project)));
  test('files have names that say something', () => none(checkNames(project)));
  test('every export is documented', () => none(checkDocumented(project)));
  test('every export is used', () => none(checkDeadExports(project, TEST_ONLY)));
  test('time, randomness and environment come in through constructors', () =>
    none(checkGlobals(project, GLOBALS_ALLOWED)));
  test('nothing is left unfinished or narrowed', () => none(checkWords(project)));
  test('every dependency is used, pinned and declared for the code that needs it', () =>
    none(checkDependencies(project)));
  test('the command can be run as it is', () =>
    assert.equal(statSync(join(root, 'bin/bulwark.js')).mode & 0o111, 0o111));
  test('the lock file holds no addresses', () => none(checkLockFile(project)));
  test('links in documents lead somewhere', () => none(checkLinks(project)));
  test('the generated reference is what the code says (npm run docs)', async () => {
    for (const [path, text] of await referencePages())
      assert.ok(existsSync(join(root, path)) && read(path) === text, `${path} is stale`);
  });
  test('every metric is in the reference, and every error code in use', () => {
    const sources = project.code.filter(({ path }) => /^src\/.*(?<!\.test)\.ts$/.test(path));
    const metrics = read('docs/reference/metrics.md');
    for (const { path } of sources)
      for (const [, name = ''] of read(path).matchAll(/\bname: '((?:bulwark|citadel|pilot)_\w+)'/g))
        assert.ok(metrics.includes(`\`${name}\``), `${path}: ${name} is not in the reference`);
    const text = sources.map(({ path }) => read(path)).join('\n');
    for (const code of Object.keys(ERROR_CODES))
      assert.ok(text.includes(`'${code}'`), `nothing ends with ${code}`);
  });
  test('every decision is listed', () => none(checkDecisions(project)));
  test('every attack of the table is tried by a test', () => none(checkAttacks(project)));
  test('every requirement is open or linked to the test that proves it', () =>
    none(checkRequirements(project, { ids: wantedIds(), openMax: ratchet.openRequirements })));
});
