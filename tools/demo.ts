// The demo: a mesh on this machine, and proof by real traffic of what it promises. npm run demo [--
// --json] [--keep]
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { CheckResult, DemoCheck } from './demo/check.ts';
import { ACCESS_CHECKS } from './demo/checks-access.ts';
import { CHANGE_CHECKS } from './demo/checks-change.ts';
import { REVOCATION_CHECKS } from './demo/checks-revocation.ts';
import { ROTATION_CHECKS } from './demo/checks-rotation.ts';
import { TRANSPORT_CHECKS } from './demo/checks-transport.ts';
import { keepRunning } from './demo/keep.ts';
import { type DemoReporter, jsonReporter, textReporter } from './demo/report.ts';
import { DemoWorld } from './demo/world.ts';

const CHECKS: readonly DemoCheck[] = [
  ...ACCESS_CHECKS,
  ...TRANSPORT_CHECKS,
  ...CHANGE_CHECKS,
  ...REVOCATION_CHECKS,
  ...ROTATION_CHECKS,
];

/**
 * Certificates live this long: long enough to outlast the dead server, short enough to see them
 * renewed.
 */
const CERT_TTL = '24s';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

async function runCheck(check: DemoCheck, world: DemoWorld): Promise<CheckResult> {
  const { name, title } = check;
  const startedMs = performance.now();
  const ended = (ok: boolean, detail: string): CheckResult => {
    return { name, title, ok, detail, ms: performance.now() - startedMs };
  };
  try {
    return ended(true, await check.run(world));
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
    return ended(false, `${error instanceof Error ? error.message : error} ${cause}`.trim());
  }
}

/** Runs all checks in order; a failed one does not end the demo. */
async function runChecks(world: DemoWorld, reporter: DemoReporter, ending: AbortSignal) {
  const results: CheckResult[] = [];
  for (const check of CHECKS) {
    if (ending.aborted) break;
    const result = await runCheck(check, world);
    if (ending.aborted) break;
    results.push(result);
    reporter.checked(result);
  }
  return results;
}

async function main(): Promise<number> {
  const reporter = options.json ? jsonReporter(process.stdout) : textReporter(process.stdout);
  const ending = new AbortController();
  const directory = mkdtempSync(join(tmpdir(), 'bulwark-'));
  const world = new DemoWorld({
    root: fileURLToPath(new URL('..', import.meta.url)),
    directory,
    certTtl: CERT_TTL,
    report: (step) => reporter.step(step),
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= world.close().finally(() => rmSync(directory, { recursive: true, force: true }));
    return closing;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      ending.abort();
      void close();
    });
  }
  // A mistake of ours must not leave processes behind either.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`demo: ${error.stack}\n`);
    void close().finally(() => process.exit(1));
  });
  const interrupted = once(ending.signal, 'abort').then(() => 130);
  try {
    return await Promise.race([prove(world, reporter, ending.signal), interrupted]);
  } catch (error) {
    if (ending.signal.aborted) return 130;
    process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  } finally {
    await close();
  }
}

/** Starts the world and runs the checks; gives the exit code. */
async function prove(
  world: DemoWorld,
  reporter: DemoReporter,
  ending: AbortSignal,
): Promise<number> {
  const startedMs = performance.now();
  await world.start();
  const results = await runChecks(world, reporter, ending);
  if (ending.aborted) return 130;
  reporter.finished(results, performance.now() - startedMs);
  if (options.keep) await keepRunning(world, process.stderr, ending);
  return results.length === CHECKS.length && results.every(({ ok }) => ok) ? 0 : 1;
}

if (options.help) {
  process.stdout.write(`npm run demo [-- OPTIONS]

Starts a mesh on this machine and proves by real traffic what it promises. Exit 0 only if all of it holds.

  --json   print the results as one JSON document
  --keep   leave everything running and print what to try next; Ctrl-C ends it
`);
} else {
  // What was interrupted may still wait for something: it is not waited for.
  process.exit(await main());
}
