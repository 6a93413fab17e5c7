import type { Command } from 'commander';
import {
  addCallOptions,
  type CallFlags,
  decideCall,
  distinct,
  isAllowed,
  spellingOf,
} from '#cli/calls/call-flags.ts';
import { usage } from '#cli/calls/call-spelling.ts';
import { decisionJson, verdictText } from '#cli/calls/decision-text.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';

interface CanFlags extends CallFlags {
  readonly output: string;
}

/**
 * `bulwark can --from NAMESPACE/ACCOUNT --to NAMESPACE/SERVICE`: one line, and exit code 0 when the
 * call is allowed, 3 when it is denied.
 */
export function registerCanCommand(program: Command, context: CliContext): void {
  const command = program
    .command('can')
    .description('whether a call would be allowed: exit code 0, or 3 when it is denied')
    .addOption(outputOption());
  addCallOptions(command).action(async (flags: CanFlags) => {
    const { from, to, output } = flags;
    if (from === undefined || (to === undefined && flags.through === undefined))
      throw usage('say --from and --to');
    const spelling = spellingOf(flags, from, to);
    const { mesh, decided } = await decideCall(command, context, flags, spelling);
    const answers = distinct(decided);
    const text =
      output === 'json'
        ? `${JSON.stringify({ decisions: answers.map((one) => decisionJson(one, mesh)) }, null, 2)}\n`
        : answers.map(({ decision }) => `${verdictText(decision)}\n`).join('');
    context.stdout.write(text);
    if (!isAllowed(decided)) process.exitCode = EXIT.denied;
  });
}
