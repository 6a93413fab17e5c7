import { MOSTLY_WAITING } from './waiting-tests.ts';

/** Which tests to run and how. */
export interface TestPlan {
  /** They run beside each other. */
  readonly lanes: readonly TestLane[];
  /** Only tests whose name contains one of these texts; all when empty. */
  readonly names: readonly string[];
}

/** Files that take turns. */
export interface TestLane {
  /** Paths from the root, in the order to run them: quick ones first. */
  readonly files: readonly string[];
  /** How many files run at a time. */
  readonly concurrency: number;
}

/** Which folders come when; whatever beats an early check costs little time to find out. */
const ORDER = ['test/tidy/', 'src/', 'tools/', 'test/', 'test/e2e/'];

function rankOf(path: string): number {
  const longest = ORDER.filter((folder) => path.startsWith(folder)).sort(
    (a, b) => b.length - a.length,
  )[0];
  return longest === undefined ? ORDER.length : ORDER.indexOf(longest);
}

/**
 * The plan for a command line: each argument is part of a path, or, where no path has it, part of a
 * test's name. `--soak` takes the long-running tests of test/soak, which are left out otherwise;
 * `--concurrency N` is how many files run at a time, not counting one that mostly waits.
 * @param paths all test files from the root
 * @param cores how many processors there are
 * @throws Error with a sentence for the user
 */
export function planTests(
  paths: readonly string[],
  args: readonly string[],
  cores: number,
): TestPlan {
  const words: string[] = [];
  let soak = false;
  let concurrency = cores;
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] ?? '';
    if (argument === '--soak') soak = true;
    else if (argument === '--concurrency') {
      at += 1;
      concurrency = Number(args[at]);
      if (!Number.isInteger(concurrency) || concurrency < 1)
        throw new Error('--concurrency takes a whole number from 1 on');
    } else if (argument.startsWith('-'))
      throw new Error(`unknown option ${argument}; there are --soak and --concurrency N`);
    else words.push(argument.replace(/^\.\//, ''));
  }
  const eligible = paths.filter((path) => path.startsWith('test/soak/') === soak);
  const inPaths = words.filter((word) => eligible.some((path) => path.includes(word)));
  const names = words.filter((word) => !inPaths.includes(word));
  const files = eligible
    .filter((path) => inPaths.length === 0 || inPaths.some((word) => path.includes(word)))
    .sort((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1));
  if (files.length === 0) throw new Error(`there are no ${soak ? 'soak ' : ''}tests here`);
  const waiting = files.filter((path) => MOSTLY_WAITING.includes(path));
  const busy = files.filter((path) => !MOSTLY_WAITING.includes(path));
  const lanes = [
    { files: busy, concurrency },
    { files: waiting, concurrency: 1 },
  ];
  return { lanes: lanes.filter((lane) => lane.files.length > 0), names };
}
