// npm test [-- PART-OF-A-PATH | PART-OF-A-NAME …] [--soak] [--concurrency N]
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { planTests, type TestPlan } from './test-plan.ts';

/** A file that takes longer hangs. */
const FILE_TIMEOUT_MS = 300_000;
/** Soak tests may take this long on a busy machine. */
const SOAK_TIMEOUT_MS = 3_600_000;

const root = fileURLToPath(new URL('..', import.meta.url));

function plan(): TestPlan {
  const paths = globSync(['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts'], {
    cwd: root,
  });
  return planTests(paths, process.argv.slice(2), availableParallelism());
}

/** A pattern that matches the text itself. */
function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function runTests({ files, names, concurrency }: TestPlan): void {
  let ran = 0;
  // Every file is a process of its own: without a cache each would strip the types anew.
  process.env.NODE_COMPILE_CACHE ??= `${root}node_modules/.bulwark/compile-cache`;
  const stream = run({
    cwd: root,
    files: files.map((path) => `${root}${path}`),
    concurrency,
    timeout: process.argv.includes('--soak') ? SOAK_TIMEOUT_MS : FILE_TIMEOUT_MS,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    ...(names.length > 0
      ? { testNamePatterns: names.map((name) => new RegExp(literally(name))) }
      : {}),
  });
  stream.on('test:pass', ({ name, details }) => {
    const isFile = name.endsWith('.test.ts');
    if (!isFile && details.type !== 'suite') ran += 1;
  });
  stream.on('test:fail', () => {
    process.exitCode = 1;
  });
  stream.on('end', () => {
    if (ran > 0 || process.exitCode === 1) return;
    process.stderr.write(`test: no test has a name with ${names.join(' or ')}\n`);
    process.exitCode = 1;
  });
  stream.compose(spec).pipe(process.stdout);
}

try {
  runTests(plan());
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 64;
}
