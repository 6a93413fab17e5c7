import type { Command } from 'commander';
import { registerInitCommand } from '#cli/commands/ca-init.ts';
import { registerRotateCommands } from '#cli/commands/ca-rotate.ts';
import type { CliContext } from '#cli/context.ts';

/** `bulwark ca`: the authority of the mesh. */
export function registerCaCommand(program: Command, context: CliContext): void {
  const command = program.command('ca').description('the certificate authority of the mesh');
  registerInitCommand(command, context);
  registerRotateCommands(command, context);
}
