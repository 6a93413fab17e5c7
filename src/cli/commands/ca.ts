import type { Command } from 'commander';
import { registerRotateCommands } from '#cli/commands/ca-rotate.ts';
import type { CliContext } from '#cli/context.ts';

/** `bulwark ca`: the authority of the mesh. */
export function registerCaCommand(program: Command, context: CliContext): void {
  const command = program.command('ca').description('the certificate authority of the mesh');
  registerRotateCommands(command, context);
}
