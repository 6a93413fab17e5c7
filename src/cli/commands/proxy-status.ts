import type { Command } from 'commander';
import type { CliContext } from '#cli/context.ts';

export function registerProxyStatusCommand(program: Command, _context: CliContext): void {
  program.command('proxy-status').action(() => {});
}
