import type { Command } from 'commander';
import { hasErrors } from '#api/diagnostic.ts';
import { correctQuotes } from '#api/documents.ts';
import { BulwarkError } from '#base/errors.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { filesOf, formatDiagnostic, readObjects, readText, writeText } from '#cli/read-objects.ts';

interface ValidateFlags {
  readonly filename?: readonly string[];
  readonly fix?: true;
}

/**
 * `bulwark validate FILES`: what the server would say about the objects in them, without a server:
 * schema and rules of every kind, each finding with file, line and column. Exit code 65 when
 * something would be refused.
 */
export function registerValidateCommand(program: Command, context: CliContext): void {
  program
    .command('validate')
    .description('check the objects of YAML or JSON files, without a server')
    .argument('[files...]', 'files, folders, or - for standard input')
    .option('-f, --filename <file...>', 'the same, as `bulwark apply` has it')
    .option('--fix', 'write straight quotes in place of typographic ones, in the files')
    .action(async (given: readonly string[], flags: ValidateFlags) => {
      const names = [...given, ...(flags.filename ?? [])];
      if (names.length === 0)
        throw new BulwarkError('CLI_USAGE', 'say which files: bulwark validate FILES');
      const files = await filesOf(names);
      if (flags.fix) for (const file of files) await fix(file, context);
      const { objects, diagnostics } = await readObjects(files, process.stdin);
      for (const one of diagnostics) context.stderr.write(`${formatDiagnostic(one)}\n`);
      if (hasErrors(diagnostics)) {
        process.exitCode = EXIT.data;
        return;
      }
      context.stdout.write(
        `${objects.length} ${objects.length === 1 ? 'object' : 'objects'}: ok\n`,
      );
    });
}

async function fix(file: string, { stderr }: CliContext): Promise<void> {
  if (file === '-') {
    throw new BulwarkError('CLI_USAGE', 'standard input cannot be corrected in place', {
      remedy: 'give the name of a file to --fix',
    });
  }
  const { corrected, count } = correctQuotes(await readText(file));
  if (count === 0) return;
  await writeText(file, corrected);
  stderr.write(`${file}: ${count} typographic ${count === 1 ? 'text' : 'texts'} corrected\n`);
}
