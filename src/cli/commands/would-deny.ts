import type { Command } from 'commander';
import type { AccessRecord, AuditView, TrafficView } from '#admin/audit.ts';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { jsonLine } from '#admin/json-line.ts';
import { systemClock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { callsOfRecords, callsOfSample, mergedCalls, replay } from '#cli/audit/replay.ts';
import {
  type ReplayBasis,
  replayJson,
  replayText,
  unrecordedParts,
} from '#cli/audit/replay-text.ts';
import { readSince } from '#cli/audit/since.ts';
import { connect } from '#cli/connect.ts';
import { type CliContext, EXIT } from '#cli/context.ts';
import { readMeshChange } from '#cli/mesh/read-mesh.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';

interface WouldDenyFlags {
  readonly filename: readonly string[];
  readonly namespace: string;
  readonly since: string;
  readonly output: 'text' | 'json';
}

/** Numbers of records are microseconds. */
const MICRO = 1000;

/**
 * `bulwark would-deny`: tries the calls that were recorded against the policies of now and against
 * those with a change, and says which of them would be denied.
 */
export function registerWouldDenyCommand(program: Command, context: CliContext): void {
  const command = program
    .command('would-deny')
    .description('which of the calls that were recorded a change would deny: exit code 0, or 3')
    .requiredOption(
      '-f, --filename <file...>',
      'files or folders with objects that are to be applied',
    )
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option('--since <time>', 'how long ago (24h, 7d), or an instant', '7d')
    .addOption(outputOption());
  addSettingOptions(command, ['kubeconfig']).action(async (flags: WouldDenyFlags) => {
    const now = systemClock.now();
    const sinceMs = readSince(flags.since, now);
    // First what is cheap to correct: files that are not there, or wrong.
    const change = await readMeshChange(command, context, flags);
    const recorded = await readRecorded(command, context, sinceMs);
    const result = replay(recorded.calls, change, now);
    const basis = { ...recorded.basis, unrecorded: unrecordedParts(change.changed) };
    context.stdout.write(
      flags.output === 'json'
        ? `${jsonLine(replayJson(result, basis))}\n`
        : replayText(result, basis),
    );
    if (result.denied.length > 0) process.exitCode = EXIT.denied;
  });
}

/** @throws BulwarkError CLI_NO_RECORDS: nothing recorded is no proof of anything */
async function readRecorded(command: Command, context: CliContext, sinceMs: number) {
  const client = await connect(await settingsOf(command, context));
  try {
    const get = (path: string) => client.expect({ method: 'GET', path });
    const traffic = (await get(
      `${ADMIN_PATHS.traffic}?since=${Math.trunc(sinceMs)}`,
    )) as TrafficView;
    const query = `after=${Math.trunc(sinceMs * MICRO)}&decision=allowed`;
    const { records, isCut } = (await get(`${ADMIN_PATHS.audit}?${query}`)) as AuditView;
    const audited = records.filter((one): one is AccessRecord => one.type === 'access');
    const calls = mergedCalls(callsOfSample(traffic.rows), callsOfRecords(audited));
    if (calls.length === 0)
      throw new BulwarkError('CLI_NO_RECORDS', 'no calls that were allowed are recorded', {
        remedy: 'start the server with auditTraffic 1 (percent), or audit with a policy, and wait',
      });
    const basis: Omit<ReplayBasis, 'unrecorded'> = {
      sinceMs,
      traffic,
      audited: audited.length,
      isCut,
    };
    return { calls, basis };
  } finally {
    client.close();
  }
}
