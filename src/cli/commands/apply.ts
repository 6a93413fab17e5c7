import type { Command } from 'commander';
import { BulwarkError, describeError } from '#base/errors.ts';
import { applyObject, pathsOf } from '#cli/apply-object.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { formatDiagnostic, readObjects } from '#cli/read-objects.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';

interface ApplyFlags {
  readonly filename: readonly string[];
  readonly namespace?: string;
}

/**
 * `bulwark apply -f FILE`: as `kubectl apply`, for who has no kubectl. Nothing is sent unless every
 * document is valid; what the server refuses does not keep the rest from being applied, and the
 * exit code tells.
 */
export function registerApplyCommand(program: Command, context: CliContext): void {
  const command = program
    .command('apply')
    .description('create or change the objects of YAML or JSON files')
    .requiredOption('-f, --filename <file...>', 'files, folders, or - for standard input')
    .option('-n, --namespace <name>', 'namespace of objects that name none');
  addSettingOptions(command, ['kubeconfig']).action(async (flags: ApplyFlags) => {
    const settings = await settingsOf(command, context);
    const { objects, diagnostics } = await readObjects(flags.filename, process.stdin);
    for (const one of diagnostics) context.stderr.write(`${formatDiagnostic(one)}\n`);
    if (diagnostics.some(({ severity }) => severity === 'error')) {
      throw new BulwarkError('API_INVALID', 'nothing was applied: correct the lines above first');
    }
    const client = await connect(settings);
    try {
      const namespace = flags.namespace ?? client.access.namespace;
      for (const object of objects) {
        const paths = pathsOf(object, namespace);
        try {
          const outcome = await applyObject(client, object, paths);
          context.stdout.write(`${paths.shown} ${outcome}\n`);
        } catch (error) {
          process.exitCode = EXIT.failed;
          context.stderr.write(`${paths.shown}: ${describeError(error)}\n`);
        }
      }
    } finally {
      client.close();
    }
  });
}
