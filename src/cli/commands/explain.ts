import { type Command, Option } from 'commander';
import { callOfLogLine } from '#cli/calls/access-log-line.ts';
import {
  addCallOptions,
  type CallFlags,
  decideCall,
  distinct,
  isAllowed,
  spellingOf,
} from '#cli/calls/call-flags.ts';
import { OUTSIDE, usage } from '#cli/calls/call-spelling.ts';
import { decisionJson, explanationText } from '#cli/calls/decision-text.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';

interface ExplainFlags extends CallFlags {
  readonly output: string;
  readonly logLine?: string;
}

/**
 * `bulwark explain`: the answer of `bulwark can` with its reason: each layer in order, the object,
 * rule and field that decide, and for a denial the smallest change that would allow the call.
 */
export function registerExplainCommand(program: Command, context: CliContext): void {
  const command = program
    .command('explain')
    .description('why a call is allowed or denied: exit code 0, or 3 when it is denied')
    .addOption(accessLogOption())
    .addOption(outputOption());
  addCallOptions(command).action(async (flags: ExplainFlags) => {
    const { from, to, output, logLine } = flags;
    const logged = logLine === undefined ? undefined : callOfLogLine(logLine);
    const { through } = flags;
    if (logged?.gatewayPort !== undefined && through === undefined)
      throw usage('the line is of a gateway', 'say which: --through NAMESPACE/GATEWAY');
    const caller = from ?? logged?.from;
    // What a gateway leads nowhere has a host, and no service.
    const isOfHost = through !== undefined && logged?.to === logged?.host;
    const called = to ?? (isOfHost ? undefined : logged?.to);
    if (caller === undefined || (called === undefined && through === undefined)) {
      if (logged === undefined) throw usage('say --from and --to, or --access-log');
      const missing = caller === undefined ? 'who called' : 'what was called';
      throw usage(`the line does not say ${missing}`, 'add --from and --to');
    }
    const spelling = {
      ...logged,
      to: called,
      // Whose request was read had whatever certificate the gateway asks for.
      ...(through !== undefined && logged && caller === OUTSIDE && { certificate: '' }),
      ...withoutGaps(spellingOf(flags, caller, called)),
    };
    const { mesh, decided } = await decideCall(command, context, flags, spelling);
    const said = logged?.said;
    if (said !== undefined && output === 'text') context.stdout.write(`The log says: ${said}\n`);
    const answers = distinct(decided);
    if (output === 'json') {
      const decisions = answers.map((one) => decisionJson(one, mesh));
      context.stdout.write(`${JSON.stringify({ logSays: said, decisions }, null, 2)}\n`);
    } else {
      context.stdout.write(answers.map((one) => explanationText(one, mesh)).join('\n'));
    }
    if (!isAllowed(decided)) process.exitCode = EXIT.denied;
  });
}

/** There is a setting `accessLog`, which this is not. */
function accessLogOption(): Option {
  const text = 'take the call from a line of the access log of a proxy';
  const option = new Option('--access-log <line>', text);
  option.attributeName = () => 'logLine';
  return option;
}

/** What is said on the command line comes before what the log says; what is not, does not. */
function withoutGaps<T extends object>(object: T): T {
  const said = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as T;
}
