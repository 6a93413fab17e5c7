import { Command, CommanderError } from 'commander';
import { describeError, isBulwarkError } from '#base/errors.ts';
import { createLogger, LOG_LEVELS, type LogLevel } from '#base/log.ts';
import { COMMANDS } from '#cli/commands.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { endWithReaders } from '#cli/lost-readers.ts';
import { writePrintable } from '#cli/printable.ts';

const VERSION_FLAGS = ['-V', '--version'];

/** Runs one command line (without program name) and gives its exit code. */
async function main(argv: readonly string[], context: CliContext): Promise<number> {
  const program = new Command('bulwark')
    .description('Identity, mutual TLS and authorization for every service, with the real Envoy.')
    .helpCommand(false)
    .option(VERSION_FLAGS.join(', '), 'print the version')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      // As all else that goes wrong is said.
      outputError: (text, write) => write(text.replace(/^error: /, 'bulwark: ')),
    });
  const chosen = chosenName(argv);
  for (const { name, summary, load } of COMMANDS) {
    if (name === chosen) (await load())(program, context);
    else program.command(name).description(summary);
  }
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    return exitCodeOf(error, context);
  }
}

function chosenName(argv: readonly string[]): string | undefined {
  return argv.find((argument) => !argument.startsWith('-'));
}

/** `bulwark --version` is `bulwark version`. */
function withoutVersionFlag(argv: readonly string[]): readonly string[] {
  const [first = '', ...others] = argv;
  return VERSION_FLAGS.includes(first) ? ['version', ...others] : argv;
}

function exitCodeOf(error: unknown, context: CliContext): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!isBulwarkError(error)) throw error;
  context.stderr.write(`bulwark: ${describeError(error)}\n`);
  return error.code === 'CLI_USAGE' ? EXIT.usage : EXIT.failed;
}

/**
 * Aborts at SIGINT, SIGTERM, or SIGHUP, when the terminal goes; a second signal ends the process at
 * once.
 */
function endingSignal(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => (ending.signal.aborted ? process.exit(130) : ending.abort(signal)));
  }
  return ending.signal;
}

const argv = withoutVersionFlag(process.argv.slice(2));
const { stdout, stderr } = process;
for (const stream of [stdout, stderr]) writePrintable(stream);
endWithReaders(
  { stdout, stderr, exit: (code) => process.exit(code) },
  { runsLong: COMMANDS.some(({ name, runsLong }) => runsLong && name === chosenName(argv)) },
);
let signal: AbortSignal | undefined;
process.exitCode = await main(argv, {
  env: process.env,
  stdout,
  stderr,
  // Made at first use: a command that does not look at it ends at once, as the system does it.
  get signal() {
    signal ??= endingSignal();
    return signal;
  },
  logger: (level) =>
    createLogger({ level: LOG_LEVELS.includes(level as LogLevel) ? (level as LogLevel) : 'info' }),
});
