import type { Command } from 'commander';
import { hasErrors } from '#api/diagnostic.ts';
import { readDocuments } from '#api/documents.ts';
import { systemClock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { usage } from '#cli/calls/call-spelling.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { addMeshOptions, type MeshFlags, readMesh } from '#cli/mesh/read-mesh.ts';
import { outputOption } from '#cli/output-option.ts';
import { ChangeWatch } from '#cli/policy-tests/change-watch.ts';
import { LiveCallers } from '#cli/policy-tests/live-callers.ts';
import { POLICY_TEST, readSuite, type TestSuite } from '#cli/policy-tests/read-suite.ts';
import { coverageOf, failedCases, REPORTS, type ReportFormat } from '#cli/policy-tests/report.ts';
import { runSuite, type SuiteResult } from '#cli/policy-tests/run-suite.ts';
import { filesOf, formatDiagnostic, readText } from '#cli/read-objects.ts';
import { Decider } from '#policy/decide/decider.ts';

interface TestFlags extends MeshFlags {
  readonly output: ReportFormat;
  readonly server?: boolean;
  readonly live?: readonly string[];
  readonly watch?: boolean;
  readonly minCoverage?: string;
}

/**
 * `bulwark test FILE…`: calls that must be allowed or denied, tried against policies in files, or
 * against those of a running server. Exit code 3 when a case is not as expected.
 */
export function registerTestCommand(program: Command, context: CliContext): void {
  const command = program
    .command('test')
    .description('try the cases of PolicyTest documents: exit code 0, or 3 when one fails')
    .argument('<file...>', 'files, or folders with them')
    .addOption(outputOption(Object.keys(REPORTS)))
    .option('--server', 'against the policies of a running server, in place of files')
    .option(
      '--live <directory...>',
      'send real requests, as the workloads of the agents of these run directories',
    )
    .option('--watch', 'again at every change of a file, until it is ended')
    .option('--min-coverage <percent>', 'fail when fewer of the rules are exercised');
  addMeshOptions(command).action(async (files: readonly string[], flags: TestFlags) => {
    const changes = flags.watch === true ? new ChangeWatch() : undefined;
    await changes?.add([...files, ...(flags.filename ?? [])]);
    const run = async (): Promise<number> => {
      const { report, minimum } = choicesOf(flags);
      const suites = await readSuites(files, context);
      await changes?.add(suites.flatMap(({ policies }) => policies));
      const results: SuiteResult[] = [];
      for (const suite of suites) results.push(await resultOf(suite, command, context, flags));
      context.stdout.write(report(results));
      const { percent } = coverageOf(results);
      if (percent < minimum)
        context.stderr.write(`${percent} % of the rules are exercised, fewer than ${minimum} %\n`);
      return failedCases(results).length > 0 || percent < minimum ? EXIT.denied : EXIT.ok;
    };
    process.exitCode = changes ? await repeat(run, changes, context) : await run();
  });
}

/** Runs again at every change until the user ends it. */
async function repeat(
  run: () => Promise<number>,
  changes: ChangeWatch,
  context: CliContext,
): Promise<number> {
  try {
    while (!context.signal.aborted) {
      // A file that is half written is wrong for a moment only.
      await run().catch((error: unknown) => {
        if (!isBulwarkError(error) || error.code === 'CLI_USAGE') throw error;
        context.stderr.write(`bulwark: ${error.message}\n`);
      });
      await changes.next(context.signal);
    }
  } finally {
    changes.close();
  }
  return EXIT.ok;
}

function choicesOf({ output, minCoverage = '0' }: TestFlags) {
  const minimum = Number(minCoverage);
  if (!(minimum >= 0 && minimum <= 100)) throw usage('--min-coverage is a number from 0 to 100');
  return { report: REPORTS[output], minimum };
}

async function readSuites(
  names: readonly string[],
  context: CliContext,
): Promise<readonly TestSuite[]> {
  const files = await filesOf(names);
  const suites: TestSuite[] = [];
  let isBroken = false;
  for (const file of files) {
    const { documents, diagnostics } = readDocuments(await readText(file), { source: file });
    const readings = documents.filter(({ value }) => value.kind === POLICY_TEST).map(readSuite);
    const found = [...diagnostics, ...readings.flatMap((reading) => reading.diagnostics)];
    for (const one of found) context.stderr.write(`${formatDiagnostic(one)}\n`);
    isBroken ||= hasErrors(found);
    suites.push(...readings.flatMap(({ suite }) => suite ?? []));
  }
  if (isBroken) throw new BulwarkError('API_INVALID', 'correct the lines above first');
  if (suites.length === 0)
    throw usage(`no document of the kind ${POLICY_TEST} in ${names.join(', ')}`);
  return suites;
}

async function resultOf(
  suite: TestSuite,
  command: Command,
  context: CliContext,
  { filename, namespace, server, live }: TestFlags,
): Promise<SuiteResult> {
  const files = server || live ? undefined : (filename ?? suite.policies);
  const flags = files === undefined ? { namespace } : { filename: files, namespace };
  const mesh = await readMesh(command, context, flags);
  return runSuite(suite, {
    mesh,
    decider: new Decider(mesh.snapshot),
    nowMs: systemClock.now(),
    live: live && (await LiveCallers.of(live)),
  });
}
