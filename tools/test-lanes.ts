import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { inBatches } from './test-batches.ts';
import type { TestLane } from './test-plan.ts';

/** What a run came to. */
export interface RunResult {
  /** Tests that ran, without suites. */
  readonly tests: number;
  /** What failed, a line or two each. */
  readonly failures: readonly string[];
}

/** Everything of `run` but the choice of files. */
export type RunOptions = Pick<NonNullable<Parameters<typeof run>[0]>, 'timeout' | 'execArgv'> & {
  /** Ends in `/`. */
  readonly cwd: string;
  /** A folder of the run, that goes with it. */
  readonly directory: string;
  readonly testNamePatterns?: readonly RegExp[];
};

/** Of an error in the summary; the report has all of it. */
const ERROR_LINES_MAX = 12;

/** Events that a reporter writes down; the others only say how far the runner is. */
const WRITTEN = ['test:start', 'test:pass', 'test:fail', 'test:stdout', 'test:stderr'];

/**
 * Runs lanes of test files beside each other and writes one report, each file in one piece.
 * @param reporter a reporter of `node:test/reporters`
 */
export async function runLanes(
  lanes: readonly TestLane[],
  options: RunOptions,
  reporter: NodeJS.ReadWriteStream,
  output: NodeJS.WritableStream,
): Promise<RunResult> {
  const report = new PassThrough({ objectMode: true });
  const written = pipeline(report, reporter, output, { end: false });
  const counts = { tests: 0, pass: 0, fail: 0, skipped: 0 };
  const failures: string[] = [];
  const begun = process.hrtime.bigint();
  await Promise.all(
    lanes.map(async ({ files, concurrency }) => {
      const { testNamePatterns, directory, ...rest } = options;
      const paths = inBatches(files, { root: options.cwd, directory });
      const names = testNamePatterns ? { testNamePatterns: [...testNamePatterns] } : {};
      const stream = run({ ...rest, ...names, files: [...paths], concurrency });
      await writeFiles(stream, report);
      stream.destroy();
    }),
  );
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;

  /** Counts a test that ended; a file and a suite are none, unless they fail by themselves. */
  function count({ type, data }: TestEvent): void {
    if (type === 'test:fail') {
      counts.fail += 1;
      failures.push(...describeFailure(data, options.cwd));
    } else if (type !== 'test:pass' || data.details.type === 'suite') return;
    else if (/\.test\.m?[jt]s$/.test(data.name)) return;
    else if (data.skip) counts.skipped += 1;
    else counts.pass += 1;
    counts.tests += 1;
  }

  /** Passes a lane on. */
  async function writeFiles(stream: Readable, into: PassThrough): Promise<void> {
    let held: TestEvent[] = [];
    const flush = (): void => {
      for (const event of held) into.write(event);
      held = [];
    };
    for await (const event of stream as AsyncIterable<TestEvent>) {
      count(event);
      if (!WRITTEN.includes(event.type)) continue;
      if (fileOf(held[0]) !== fileOf(event)) flush();
      held.push(event);
    }
    flush();
  }

  for (const [word, count] of [...Object.entries(counts), ['seconds', Math.round(seconds)]]) {
    const data = { message: `${word} ${count}`, nesting: 0, level: 'info' };
    report.write({ type: 'test:diagnostic', data });
  }
  report.end();
  await written;
  return { tests: counts.tests, failures };
}

type Failed = Extract<TestEvent, { type: 'test:fail' }>['data'];

/** Where a test is, its name, and the error; nothing when it failed only because one within did. */
function describeFailure({ name, file, line, details }: Failed, root: string): readonly string[] {
  const { error } = details;
  if ('failureType' in error && error.failureType === 'subtestsFailed') return [];
  const cause = error.cause instanceof Error ? error.cause : error;
  const why = cause.message.split('\n').filter((text) => text.trim() !== '');
  const shown = why.slice(0, ERROR_LINES_MAX).map((text) => `    ${text}`);
  return [[`${file?.replace(root, '')}:${line} ${name}`, ...shown].join('\n')];
}

function fileOf(event: TestEvent | undefined): string | undefined {
  return event?.data !== undefined && 'file' in event.data ? event.data.file : undefined;
}
