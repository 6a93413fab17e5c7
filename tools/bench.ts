// npm run bench [-- PART-OF-A-PATH …] [--json] [--strict]: every benchmark in a process of its own,
// one at a time.
import { fork } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { BenchResult } from '../bench/bench-result.ts';
import { formatResult, goalMet, problemOf } from './bench/report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * The result of one file; what it prints goes to standard error, which leaves standard output to
 * the figures.
 */
function runBenchmark(path: string): Promise<BenchResult> {
  return new Promise((resolve, reject) => {
    const child = fork(join(root, 'tools/bench/run-one.ts'), [join(root, path)], {
      cwd: root,
      execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc'],
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    let result: BenchResult | undefined;
    child.on('message', (message) => {
      result = message as unknown as BenchResult;
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      const problem = result ? problemOf(result) : `it ended with ${signal ?? `code ${code}`}`;
      if (result && !problem) resolve(result);
      else reject(new Error(`${path}: ${problem}`));
    });
  });
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' }, strict: { type: 'boolean' } },
  });
  const paths = globSync('bench/**/*.bench.ts', { cwd: root })
    .filter((path) => positionals.length === 0 || positionals.some((part) => path.includes(part)))
    .sort();
  if (paths.length === 0)
    throw new Error(`no benchmark has ${positionals.join(' or ')} in its path`);
  const results: BenchResult[] = [];
  let failed = 0;
  for (const path of paths) {
    try {
      const result = await runBenchmark(path);
      results.push(result);
      if (!values.json) process.stdout.write(`${formatResult(result)}\n`);
    } catch (error) {
      failed += 1;
      process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  const missed = results.filter((result) => !goalMet(result)).length;
  if (values.json)
    process.stdout.write(`${JSON.stringify({ results, missed, failed }, null, 2)}\n`);
  else
    process.stdout.write(
      `${results.length} measured, ${missed} above their goal, ${failed} failed\n`,
    );
  return failed > 0 || (values.strict && missed > 0) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 64;
}
