import type { Command } from 'commander';
import {
  ADMIN_PATHS,
  type MissingTrustView,
  type RootsRefusal,
  type RootsRequest,
  type RootsView,
} from '#admin/contract.ts';
import { delay, systemClock } from '#base/clock.ts';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import { type KubeClient, refusal } from '#kubeclient/kube-client.ts';

type Step = RootsRequest['step'];

const STEPS: readonly (readonly [Step, string])[] = [
  ['prepare', 'make a new root, which everybody is to trust and which does not sign yet'],
  ['activate', 'let the new root sign; workloads get new certificates'],
  ['taint', 'destroy the key of the old root: there is no way back after this'],
  ['revoke', 'have nobody trust the old root any more'],
  ['abort', 'go back: to the old root as the one that signs, then to it alone'],
];

const POLL_MS = 250;
const LISTED_MAX = 20;

interface StepFlags {
  readonly wait: string;
  readonly leaveBehind: readonly string[];
  readonly output: string;
}

/** `bulwark ca rotate …`: from one root of the mesh to the next, one proven step at a time. */
export function registerRotateCommands(parent: Command, context: CliContext): void {
  const rotate = parent.command('rotate').description('lead the mesh from one root to the next');
  const status = rotate.command('status').description('show the roots and what comes next');
  addSettingOptions(status.addOption(outputOption()), ['kubeconfig']).action(
    ({ output }: Pick<StepFlags, 'output'>) =>
      withClient(status, context, async (client) => {
        const view = (await client.expect({ method: 'GET', path: ADMIN_PATHS.roots })) as RootsView;
        show(view, output, context);
      }),
  );
  for (const [step, summary] of STEPS) {
    const command = rotate
      .command(step)
      .description(summary)
      .option('--wait <duration>', 'how long to wait until everybody is ready', '60s')
      .option('--leave-behind <names...>', 'workloads that are not waited for', [])
      .addOption(outputOption());
    addSettingOptions(command, ['kubeconfig']).action((flags: StepFlags) =>
      withClient(command, context, (client) => takeStep(client, step, flags, context)),
    );
  }
}

async function withClient(
  command: Command,
  context: CliContext,
  use: (client: KubeClient) => Promise<void>,
): Promise<void> {
  const client = await connect(await settingsOf(command, context));
  try {
    await use(client);
  } finally {
    client.close();
  }
}

/** Asks again until everybody is ready, or the time is over. */
async function takeStep(
  client: KubeClient,
  step: Step,
  { wait, leaveBehind, output }: StepFlags,
  context: CliContext,
): Promise<void> {
  const waitMs = parseDurationMs(wait);
  if (waitMs === undefined)
    throw new BulwarkError('CLI_USAGE', `--wait ${wait} is no duration such as 90s`);
  const endMs = systemClock.monotonicMs() + waitMs;
  const body: RootsRequest = { step, leaveBehind };
  for (;;) {
    const answer = await client.send({ method: 'POST', path: ADMIN_PATHS.roots, body });
    if (answer.status < 400) {
      show(answer.body as RootsView, output, context);
      return;
    }
    const { message, remedy, missing } = answer.body as RootsRefusal;
    if (answer.status !== 409 || missing === undefined) throw refusal(answer);
    const isOver = systemClock.monotonicMs() >= endMs || context.signal.aborted;
    if (missing.length === 0 || isOver) {
      for (const line of missingLines(missing)) context.stderr.write(line);
      throw new BulwarkError('CA_ROTATION_REFUSED', message, {
        remedy: remedy ?? 'mend them, wait longer (--wait), or name them with --leave-behind',
      });
    }
    await delay(systemClock, POLL_MS, context.signal);
  }
}

function show(view: RootsView, output: string, { stdout }: CliContext): void {
  if (output === 'json') {
    stdout.write(`${JSON.stringify(view, null, 2)}\n`);
    return;
  }
  const header = ['STATE', 'KEY', 'NOT AFTER', 'LIFE USED'];
  const rows = view.roots.map(({ state, keyId, notAfter, usedPercent }) => {
    return [state, keyId.slice(0, 16), notAfter, `${usedPercent} %`];
  });
  stdout.write(formatTable([header, ...rows]));
  const count = view.missing.length;
  const ready = count === 0 ? 'everybody is ready' : `${count} workload(s) are not ready yet`;
  const next = view.roots.length === 1 ? '' : `Next: ${view.next}; ${ready}\n`;
  stdout.write(`${view.workloads} workload(s) say what they trust.\n${next}`);
  if (view.unheard && view.roots.length > 1) {
    const { identities, until } = view.unheard;
    stdout.write(`${identities} identities not heard since the start, waiting until ${until}\n`);
  }
  for (const line of missingLines(view.missing)) stdout.write(line);
  process.exitCode = EXIT.ok;
}

function* missingLines(missing: readonly MissingTrustView[]): Iterable<string> {
  for (const { name, reason } of missing.slice(0, LISTED_MAX)) yield `  ${name}: ${reason}\n`;
  const rest = missing.length - LISTED_MAX;
  if (rest > 0) yield `  and ${rest} more\n`;
}
