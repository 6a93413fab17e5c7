import { type Command, Option } from 'commander';
import type { AuditRecord, AuditView } from '#admin/audit.ts';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { jsonLine } from '#admin/json-line.ts';
import { delay, systemClock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { CALL_HEAD, callRow, changeText } from '#cli/audit/record-text.ts';
import { readSince } from '#cli/audit/since.ts';
import { usage } from '#cli/calls/call-spelling.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';

interface AuditLogFlags {
  readonly since: string;
  readonly from?: string;
  readonly to?: string;
  readonly policy?: string;
  readonly decision?: string;
  readonly changes?: boolean;
  readonly tokens?: boolean;
  readonly limit: string;
  readonly follow?: boolean;
  readonly output: 'table' | 'json';
}

const FOLLOW_MS = 1000;
/** Numbers of records are microseconds. */
const MICRO = 1000;

/**
 * `bulwark audit-log`: who was denied what and by which policy, what AUDIT policies saw, and who
 * changed what.
 */
export function registerAuditLogCommand(program: Command, context: CliContext): void {
  const command = program
    .command('audit-log')
    .description('show who was denied what, what AUDIT policies saw, and who changed what')
    .option('--since <time>', 'how long ago (24h, 7d), or an instant', '24h')
    .option(
      '--from <caller>',
      'NAMESPACE, NAMESPACE/ACCOUNT, a SPIFFE id or outside; of changes the user',
    )
    .option('--to <workload>', 'NAMESPACE or NAMESPACE/NAME; of changes those of the object')
    .option('--policy <policy>', 'NAMESPACE/NAME: it decided, it audits, or it was changed')
    .addOption(new Option('--decision <decision>', 'only these').choices(['allowed', 'denied']))
    .option('--changes', 'changes through the API, in place of calls')
    .option('--tokens', 'tokens of accounts that were asked for, in place of calls')
    .option('--limit <number>', 'the latest so many', '1000')
    .option('--follow', 'go on with what comes from now on')
    .addOption(outputOption(['table', 'json'], 'a table, or a line of JSON for each record'));
  addSettingOptions(command, ['kubeconfig']).action(async (flags: AuditLogFlags) => {
    const since = readSince(flags.since, systemClock.now());
    if (!/^[1-9]\d{0,4}$/.test(flags.limit))
      throw usage(`--limit ${flags.limit} is no number from 1 to 99999`);
    const client = await connect(await settingsOf(command, context));
    try {
      await show(client, flags, { context, since });
    } finally {
      client.close();
    }
  });
}

async function show(
  client: KubeClient,
  flags: AuditLogFlags,
  { context, since }: { readonly context: CliContext; readonly since: number },
): Promise<void> {
  const { stdout, stderr, signal } = context;
  const { isKept, records, isCut, next } = await ask(client, flags, since * MICRO);
  if (!isKept)
    throw new BulwarkError('CLI_NO_RECORDS', 'the server keeps no records in files', {
      remedy: 'start it with the sink "file" among auditSinks',
    });
  if (isCut) stderr.write(`note: there are more; these are the latest ${records.length}\n`);
  const isTable = flags.output === 'table' && familyOf(flags) === 'calls';
  if (isTable && records.length > 0)
    stdout.write(formatTable([CALL_HEAD, ...records.map(callRow)]));
  else stdout.write(records.map((record) => lineOf(record, flags)).join(''));
  if (records.length === 0 && !flags.follow) stderr.write('note: nothing was recorded\n');
  let after = next;
  while (flags.follow === true && !signal.aborted) {
    await delay(systemClock, FOLLOW_MS, signal);
    if (signal.aborted) return;
    // The limit is about what was there before.
    const more = await ask(client, { ...flags, limit: `${LIMITS.auditListMax}` }, after);
    after = more.next;
    if (more.isCut) stderr.write('note: there were more than can be asked for at once\n');
    stdout.write(more.records.map((record) => lineOf(record, flags)).join(''));
  }
}

async function ask(client: KubeClient, flags: AuditLogFlags, after: number): Promise<AuditView> {
  const { from, to, policy, decision, limit } = flags;
  const said = { from, to, policy, decision, limit, of: familyOf(flags) };
  const query = new URLSearchParams({ after: String(Math.trunc(after)) });
  for (const [name, value] of Object.entries(said)) if (value !== undefined) query.set(name, value);
  const path = `${ADMIN_PATHS.audit}?${query}`;
  return (await client.expect({ method: 'GET', path })) as AuditView;
}

function familyOf({ changes, tokens }: AuditLogFlags): string {
  if (changes && tokens) throw usage('--changes and --tokens are two questions');
  if (tokens) return 'tokens';
  return changes ? 'changes' : 'calls';
}

function lineOf(record: AuditRecord, { output }: AuditLogFlags): string {
  if (output === 'json') return `${jsonLine(record)}\n`;
  if (record.type === 'change') return changeText(record);
  return `${callRow(record).join('  ')}\n`;
}
