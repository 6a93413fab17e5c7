import { Writable } from 'node:stream';
import { Command } from 'commander';
import { silentLogger } from '#base/log.ts';
import { COMMANDS } from '#cli/commands.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { code, page, table } from './markdown.ts';

/** Commands are only described here, never run. */
const CONTEXT: CliContext = {
  env: {},
  stdout: new Writable(),
  stderr: new Writable(),
  signal: new AbortController().signal,
  logger: () => silentLogger,
};

const EXIT_CODES: readonly (readonly string[])[] = [
  [code(`${EXIT.ok}`), 'It went well; the answer is yes.'],
  [code(`${EXIT.failed}`), 'It did not: standard error says what, and what to do.'],
  [
    code(`${EXIT.denied}`),
    'The answer is no: a call is denied, a test of policies fails, two meshes differ.',
  ],
  [code(`${EXIT.behind}`), 'What was applied is not enforced everywhere, or not within the time.'],
  [code(`${EXIT.usage}`), 'The command line is wrong.'],
  [code(`${EXIT.data}`), 'What was given to be checked is wrong.'],
  [code('69'), 'The set-up is missing: `npm run setup`.'],
  [code('130'), 'Ended by a second signal, before everything was put in order.'],
  [code('141'), 'Nobody reads what it writes, as before `| head -1`.'],
];

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
  const codes = [
    'How a command ended:',
    table(['exit code', 'what it says'], EXIT_CODES).trimEnd(),
  ];
  return page('Command line', '`src/cli/commands/`', [introduction, ...codes, ...sections]);
}
