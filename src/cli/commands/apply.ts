import type { Command } from 'commander';
import type { ApiObject } from '#api/object.ts';
import { systemClock } from '#base/clock.ts';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError, describeError, isBulwarkError } from '#base/errors.ts';
import { applyObject, pathsOf } from '#cli/apply-object.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { type AppliedObject, awaitEnforced } from '#cli/enforcement/await-enforced.ts';
import { isEnforced, type Standing } from '#cli/enforcement/standing.ts';
import { formatDiagnostic, readObjects } from '#cli/read-objects.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';

interface ApplyFlags {
  readonly filename: readonly string[];
  readonly namespace?: string;
  readonly wait?: boolean;
  readonly timeout: string;
}

/**
 * `bulwark apply -f FILE`: as `kubectl apply`, for who has no kubectl. Nothing is sent unless every
 * document is valid; what the server refuses does not keep the rest from being applied, and the
 * exit code tells. A server that does not answer ends it. With `--wait` it ends when the proxies
 * enforce what was applied.
 */
export function registerApplyCommand(program: Command, context: CliContext): void {
  const command = program
    .command('apply')
    .description('create or change the objects of YAML or JSON files')
    .requiredOption('-f, --filename <file...>', 'files, folders, or - for standard input')
    .option('-n, --namespace <name>', 'namespace of objects that name none')
    .option('--wait', 'wait until all connected proxies enforce the policies; else end with 4')
    .option('--timeout <duration>', 'how long --wait waits', '30s');
  addSettingOptions(command, ['kubeconfig']).action(async (flags: ApplyFlags) => {
    const timeoutMs = parseDurationMs(flags.timeout);
    if (timeoutMs === undefined || timeoutMs <= 0)
      throw new BulwarkError('CLI_USAGE', `--timeout ${flags.timeout} is no duration such as 30s`);
    const settings = await settingsOf(command, context);
    const { objects, diagnostics } = await readObjects(flags.filename, process.stdin);
    for (const one of diagnostics) context.stderr.write(`${formatDiagnostic(one)}\n`);
    if (diagnostics.some(({ severity }) => severity === 'error')) {
      throw new BulwarkError('API_INVALID', 'nothing was applied: correct the lines above first');
    }
    const client = await connect(settings);
    try {
      const namespace = flags.namespace ?? client.access.namespace;
      const applied = await applyAll(client, { objects, namespace }, context);
      if (flags.wait)
        await waitFor(applied, { client, timeoutMs, timeout: flags.timeout }, context);
    } finally {
      client.close();
    }
  });
}

async function applyAll(
  client: KubeClient,
  { objects, namespace }: { readonly objects: readonly ApiObject[]; readonly namespace: string },
  context: CliContext,
): Promise<readonly AppliedObject[]> {
  const applied: AppliedObject[] = [];
  for (const object of objects) {
    const paths = pathsOf(object, namespace);
    try {
      const { outcome, object: now } = await applyObject(client, object, paths);
      context.stdout.write(`${paths.shown} ${outcome}\n`);
      const changedMs = outcome === 'unchanged' ? undefined : systemClock.monotonicMs();
      if (isEnforced(now)) applied.push({ paths, object: now, changedMs });
    } catch (error) {
      // No other object would get an answer either.
      if (isBulwarkError(error, 'CLI_CONNECTION_FAILED')) throw error;
      process.exitCode = EXIT.failed;
      context.stderr.write(`${paths.shown}: ${describeError(error)}\n`);
    }
  }
  return applied;
}

interface WaitParts {
  readonly client: KubeClient;
  readonly timeoutMs: number;
  /** As it was asked for. */
  readonly timeout: string;
}

/** What is reached goes to standard output, what is not, yet or at all, to standard error. */
async function waitFor(
  applied: readonly AppliedObject[],
  { client, timeoutMs, timeout }: WaitParts,
  context: CliContext,
): Promise<void> {
  const report = ({ paths }: AppliedObject, { state, message }: Standing, tookMs?: number) => {
    const took = tookMs === undefined ? '' : ` in ${Math.round(tookMs)} ms`;
    if (state === 'enforced') context.stdout.write(`${paths.shown} ${enforcedIn(message, took)}\n`);
    else if (state !== 'untold') context.stderr.write(`${paths.shown}: ${message}\n`);
  };
  const { signal } = context;
  const left = await awaitEnforced(client, applied, {
    timeoutMs,
    signal,
    clock: systemClock,
    report,
  });
  if (left.length === 0) return;
  process.exitCode = EXIT.behind;
  for (const { one, standing } of left) {
    if (standing.state === 'refused') continue;
    context.stderr.write(`${one.paths.shown}: not within ${timeout}: ${standing.message}\n`);
  }
}

/** The time belongs to the count, before what else there is to say. */
function enforcedIn(message: string, took: string): string {
  const [count = '', ...more] = message.split('; ');
  return [`${count}${took}`, ...more].join('; ');
}
