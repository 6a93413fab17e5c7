// npm test [-- PART-OF-A-PATH | PART-OF-A-NAME …] [--soak] [--concurrency N]
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { RECORDS_ENV } from '../test/kit/recorded-signature.ts';
import { RECORDER, verifySignatures } from '../test/kit/second-opinion.ts';
import { runLanes } from './test-lanes.ts';
import { planTests, type TestPlan } from './test-plan.ts';

/** A file that takes longer hangs: several times what one takes beside three others. */
const FILE_TIMEOUT_MS = 600_000;
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

async function runTests({ lanes, names }: TestPlan): Promise<void> {
  // Nearly every file is a process of its own: without a cache each would strip the types anew.
  process.env.NODE_COMPILE_CACHE ??= `${root}node_modules/.bulwark/compile-cache`;
  const directory = mkdtempSync(join(tmpdir(), 'bulwark-test-'));
  const signed = join(directory, 'signed.jsonl');
  process.env[RECORDS_ENV] = signed;
  const options = {
    cwd: root,
    directory,
    timeout: process.argv.includes('--soak') ? SOAK_TIMEOUT_MS : FILE_TIMEOUT_MS,
    execArgv: ['--disable-warning=ExperimentalWarning', `--import=${RECORDER}`],
    ...(names.length > 0
      ? { testNamePatterns: names.map((name) => new RegExp(literally(name))) }
      : {}),
  };
  const { tests, failures } = await runLanes(lanes, options, new spec(), process.stdout);
  try {
    const { certificate, list } = await verifySignatures(signed);
    const found = `${certificate} certificates and ${list} revocation lists`;
    process.stdout.write(`${found} that tests signed verify for others\n`);
  } finally {
    rmSync(directory, { recursive: true });
    // Once more, and last: of a long output the end is seen first, or alone.
    if (failures.length > 0)
      process.stdout.write(`\n${failures.length} failed:\n\n${failures.join('\n\n')}\n`);
  }
  if (failures.length > 0) process.exitCode = 1;
  if (tests === 0) throw new Error(`no test has a name with ${names.join(' or ')}`);
}

try {
  await runTests(plan());
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 64;
}
