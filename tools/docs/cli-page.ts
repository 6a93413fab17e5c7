import { Writable } from 'node:stream';
import { Command } from 'commander';
import { silentLogger } from '#base/log.ts';
import { COMMANDS } from '#cli/commands.ts';
import type { CliContext } from '#cli/context.ts';
import { code, page, table } from './markdown.ts';

/** Commands are only described here, never run. */
const CONTEXT: CliContext = {
  env: {},
  stdout: new Writable(),
  stderr: new Writable(),
  signal: new AbortController().signal,
  logger: () => silentLogger,
};

function section(command: Command, parents: string): string {
  const name = `${parents} ${command.name()}`;
  const options = command.options.map(({ flags, description }) => [code(flags), description]);
  const parts = [
    `## ${name}`,
    sentence(command.description()),
    `\`\`\`\n${name} ${command.usage()}\n\`\`\``,
    options.length > 0 ? table(['option', 'what it does'], options).trimEnd() : '',
    ...command.commands.map((inner) => section(inner, name)),
  ];
  return parts.filter(Boolean).join('\n\n');
}

function sentence(text: string): string {
  return text === ''
    ? ''
    : `${text[0]?.toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

/** docs/reference/cli.md */
export async function cliPage(): Promise<string> {
  const program = new Command('bulwark').helpCommand(false).enablePositionalOptions();
  for (const { load } of COMMANDS) (await load())(program, CONTEXT);
  const introduction =
    'The commands of `bulwark`. Data goes to standard output, everything else to standard error.';
  const sections = program.commands.map((command) => section(command, 'bulwark'));
  return page('Command line', '`src/cli/commands/`', [introduction, ...sections]);
}
