/**
 * Requests through the real Envoy, redirected, between network namespaces: the harness that comes
 * with the data asks for them by our driver (../traffic/driver.py) and says which outcomes differ.
 */
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CaseResult, ConformanceSuite } from '../suite.ts';

/** A scenario of the data: a configuration, and requests with their outcomes. */
interface Scenario {
  readonly family: string;
  readonly name: string;
  /** The real Envoy refused part of the configuration when outcomes were measured. */
  readonly nack?: unknown;
  readonly requests: readonly { readonly name: string; readonly artefact?: string }[];
}

/** What the harness writes. */
interface Report {
  readonly failures: readonly { readonly case: string; readonly detail: string }[];
}

const DRIVER = fileURLToPath(new URL('../traffic/driver.py', import.meta.url));
const TOOLS = ['ip', 'nft', 'setpriv', 'ss', 'python3'];
/** Names of the network namespaces of the harness begin so. */
const PREFIX = 'orc-';
const RUN_MS_MAX = 20 * 60 * 1000;
const LINES_SHOWN = 15;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The suite `traffic`; a case is a scenario, and fails when any of its requests does. */
export const suite: ConformanceSuite = {
  name: 'traffic',
  async run(directory, { families } = {}) {
    const folder = join(directory, 'traffic');
    const data = join(folder, 'traffic.json');
    const { scenarios } = JSON.parse(readFileSync(data, 'utf8')) as { scenarios: Scenario[] };
    const chosen = scenarios.filter(({ family }) => families?.includes(family) ?? true);
    if (chosen.length === 0) return [];
    const missing = whatIsMissing();
    if (missing !== undefined)
      return chosen.map(({ name }) => ({ case: name, outcome: 'failed', detail: missing }));
    const { failures } = await runHarness(folder, data, families);
    return chosen.map((scenario) => resultOf(scenario, failures));
  },
};

/** Why nothing can be run here; undefined = it can. */
function whatIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces';
  const folders = (process.env.PATH ?? '').split(delimiter);
  const absent = TOOLS.filter((tool) => !folders.some((folder) => canRun(join(folder, tool))));
  return absent.length === 0 ? undefined : `needs ${absent.join(', ')}`;
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @throws Error with the last lines of the harness when it broke */
async function runHarness(
  folder: string,
  data: string,
  families: readonly string[] | undefined,
): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), 'bulwark-traffic-'));
  chmodSync(directory, 0o755);
  const report = join(directory, 'report.json');
  const args = [join(folder, 'harness', 'run.py'), data, '--driver', DRIVER, '--loose'];
  if (families) args.push('--family', families.join(','));
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    BULWARK_NODE: process.execPath,
    TRAFFIC_RUN: join(directory, 'run'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  try {
    const output = await outputOf('python3', [...args, '--json', report], env);
    try {
      return JSON.parse(readFileSync(report, 'utf8')) as Report;
    } catch {
      throw new Error(`the harness broke:\n${output.split('\n').slice(-LINES_SHOWN).join('\n')}`);
    }
  } finally {
    clean();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Everything that a program writes, when it has ended. */
function outputOf(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // Its handler of this signal ends what it started. Who ends us ends it, too.
    const stop = (): boolean => child.kill('SIGTERM');
    const timer = setTimeout(stop, RUN_MS_MAX);
    for (const signal of SIGNALS) process.once(signal, stop);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      for (const signal of SIGNALS) process.off(signal, stop);
      resolve(Buffer.concat(chunks).toString());
    });
  });
}

/** Takes away what a harness that was killed left: its namespaces, and what runs in them. */
function clean(): void {
  const listed = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  const names = listed.split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const name of names.filter((one) => one.startsWith(PREFIX))) {
    const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
    for (const pid of pids.split('\n').filter((line) => line !== '')) kill(Number(pid));
    execFileSync('ip', ['netns', 'delete', name]);
    rmSync(join('/etc/netns', name), { recursive: true, force: true });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}

function resultOf(scenario: Scenario, failures: Report['failures']): CaseResult {
  const { name, requests } = scenario;
  const measured = requests.filter(({ artefact }) => artefact === undefined);
  const counted = new Set([name, ...measured.map((one) => `${name} / ${one.name}`)]);
  const found = failures.filter((failure) => counted.has(failure.case));
  const [first] = found;
  if (!first) return { case: name, outcome: 'passed' };
  const detail = `${found.length} of ${measured.length}: ${first.case} ${first.detail}`;
  if (scenario.nack === undefined) return { case: name, outcome: 'failed', detail };
  return {
    case: name,
    outcome: 'skipped',
    detail: `informative only, its Envoy refused: ${detail}`,
  };
}
