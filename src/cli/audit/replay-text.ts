import type { TrafficRow, TrafficView } from '#admin/audit.ts';
import { printable } from '#admin/json-line.ts';
import type { ApiObject } from '#api/object.ts';
import { callerText, cellText } from '#cli/audit/record-text.ts';
import type { Replay, ReplayedCalls, WouldDeny } from '#cli/audit/replay.ts';
import { formatTable } from '#cli/table.ts';
import { shownObject } from '#policy/decide/layer.ts';

/** What an answer rests on. */
export interface ReplayBasis {
  readonly sinceMs: number;
  readonly traffic: TrafficView;
  /** Records of calls that AUDIT policies matched. */
  readonly audited: number;
  readonly isCut: boolean;
  /** What the changed policies look at and nothing records. */
  readonly unrecorded: readonly string[];
}

/** The answer for people. */
export function replayText(result: Replay, basis: ReplayBasis): string {
  const { denied } = result;
  const rows = denied.map(({ row, calls, decision }) => [
    cellText(callerText(row)),
    calledText(row),
    cellText(requestText(row)),
    about(row, calls),
    printable(reasonOf(decision)),
  ]);
  const head = ['CALLER', 'WORKLOAD', 'REQUEST', 'CALLS', 'WHY'];
  const table = rows.length === 0 ? '' : `${formatTable([head, ...rows])}\n`;
  const kinds = denied.length + result.allowed.length;
  const sum = `${denied.length} of ${kinds} kinds of recorded calls would be denied.\n`;
  const notes = notesOf(result, basis).map((note) => `- ${note}\n`);
  return `${table}${sum}This answer rests on:\n${notes.join('')}`;
}

/** The answer as a value to be written as JSON. */
export function replayJson(result: Replay, basis: ReplayBasis): object {
  const shown = ({ row, calls }: ReplayedCalls) => ({ ...row, calls });
  return {
    denied: result.denied.map((one) => ({
      ...shown(one),
      why: reasonOf(one.decision),
      rule: one.decision.decidedBy.rule,
    })),
    allowed: result.allowed.length,
    gone: result.gone.map(shown),
    deniedNow: result.deniedNow.map(shown),
    asks: result.asks,
    restsOn: notesOf(result, basis),
  };
}

/** Parts of policies that recorded calls say nothing of. */
export function unrecordedParts(objects: readonly ApiObject[]): readonly string[] {
  const text = JSON.stringify(objects.map((object) => (object as { spec?: unknown }).spec ?? ''));
  const found = text.match(UNRECORDED) ?? [];
  return [...new Set(found)].sort();
}

const UNRECORDED =
  /request\.headers\[[^\]"]*\]|request\.auth\.(?:claims\[[^\]"]*\]|audiences|presenter)|connection\.sni|experimental\.[\w.]+|"(?:notR|r)emoteIpBlocks"|remote\.ip/g;

function notesOf(result: Replay, basis: ReplayBasis): readonly string[] {
  const { traffic, audited, isCut, unrecorded } = basis;
  const asked = new Date(basis.sinceMs).toISOString();
  const percents = [...new Set(traffic.rows.map(({ percent }) => percent))].sort((a, b) => a - b);
  const { gone, deniedNow, asks } = result;
  return [
    ...(traffic.rows.length === 0
      ? []
      : [
          `a sample of ${percents.join(' or ')} of 100 calls, recorded since ${traffic.since} (asked: since ${asked}); rare calls may be in no sample`,
        ]),
    ...(audited === 0 ? [] : [`${audited} calls that AUDIT policies matched`]),
    ...(isCut
      ? ['the latest of these only: there are more than one question is answered with']
      : []),
    'one path for each pattern, as recorded; no query, no header but Host',
    ...(unrecorded.length === 0
      ? []
      : [`NOT known, and taken as absent: ${printable(unrecorded.join(', '))}`]),
    ...count(traffic.notToldApart, 'calls that were seen and are not told apart: not tried'),
    ...count(
      gone.length,
      'kinds of calls to workloads or ports that are not there any more: not tried',
    ),
    ...count(
      deniedNow.length,
      'kinds of calls that the policies of now deny, as recorded: something that is not recorded let them in',
    ),
    ...(asks.length === 0 ? [] : [`providers are not asked here: ${asks.join(', ')}`]),
  ];
}

function count(number: number, what: string): readonly string[] {
  return number === 0 ? [] : [`${number} ${what}`];
}

function calledText({ workload, port }: TrafficRow): string {
  return cellText(`${workload.namespace}/${workload.name}:${port ?? '?'}`);
}

function requestText({ protocol, method, pattern }: TrafficRow): string {
  return protocol === 'tcp' ? 'connection' : `${method} ${pattern ?? ''}`;
}

function about({ percent }: TrafficRow, calls: number): string {
  return percent === 100 ? String(calls) : `~${calls}`;
}

function reasonOf({ decidedBy }: WouldDeny['decision']): string {
  const { object, reason } = decidedBy;
  const name = object && shownObject(object);
  return name === undefined || reason.includes(name) ? reason : `${name}: ${reason}`;
}
