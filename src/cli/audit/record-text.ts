import type { AccessRecord, AuditRecord, ChangeRecord } from '#admin/audit.ts';
import { printable } from '#admin/json-line.ts';
import { parseWorkloadId } from '#spiffe/spiffe-id.ts';

const CELL_LENGTH_MAX = 100;

/** The first row of a table of calls. */
export const CALL_HEAD = [
  'TIME',
  'DECISION',
  'CALLER',
  'WORKLOAD',
  'REQUEST',
  'BY',
  'STATUS',
  'ID',
];

/** A record of a call, or of missing ones, as a row of that table. */
export function callRow(record: AuditRecord): readonly string[] {
  if (record.type === 'gap') {
    const what = `${record.missing} records are missing: ${record.why}`;
    return [record.at, 'unknown', '', '', cellText(what), '', '', ''];
  }
  if (record.type !== 'access') return [];
  const { at, decision, workload, port, status } = record;
  const called = `${workload.namespace}/${workload.name}${port === undefined ? '' : `:${port}`}`;
  const id = record.traceId ?? record.requestId ?? '';
  const cells = [callerText(record), called, requestText(record), decidedBy(record)];
  return [at, decision, ...cells.map(cellText), String(status ?? ''), cellText(id)];
}

/** Text of a cell: what callers wrote must not make the table unreadable. */
export function cellText(text: string): string {
  const shown = printable(text);
  return shown.length > CELL_LENGTH_MAX ? `${shown.slice(0, CELL_LENGTH_MAX)}…` : shown;
}

/** `web/caller`, `outside (10.0.0.7)`; with the end user, where there was one. */
export function callerText({
  caller,
  callerAddress,
  endUser,
}: Pick<AccessRecord, 'caller' | 'callerAddress' | 'endUser'>): string {
  const parts = caller === undefined ? undefined : workloadOf(caller);
  const from = callerAddress === undefined ? 'outside' : `outside (${callerAddress})`;
  const who = caller === undefined ? from : (parts ?? caller);
  return endUser === undefined ? who : `${who} for ${endUser.subject}`;
}

function workloadOf(caller: string): string | undefined {
  const parts = parseWorkloadId(caller as Parameters<typeof parseWorkloadId>[0]);
  return parts && `${parts.namespace}/${parts.serviceAccount}`;
}

function requestText({ protocol, method, host, path }: AccessRecord): string {
  return protocol === 'tcp' ? 'connection' : `${method} ${host ?? ''}${path ?? ''}`;
}

const CAUSES: Readonly<Record<NonNullable<AccessRecord['cause']>, string>> = {
  rule: '',
  'no-allow': 'no ALLOW policy matches',
  provider: 'a provider',
  token: 'the token',
  revoked: 'CertificateRevocation',
  names: 'several names in the certificate',
};

function decidedBy({ cause, policy, rule, auditedBy, auditRule }: AccessRecord): string {
  const by = [cause && CAUSES[cause], policy && ruleText(policy, rule)].filter(Boolean).join(' ');
  const audited = auditedBy === undefined ? '' : `audited by ${ruleText(auditedBy, auditRule)}`;
  return [by, audited].filter((text) => text !== '').join(', ');
}

function ruleText(policy: string, rule: number | undefined): string {
  return rule === undefined ? policy : `${policy}[${rule}]`;
}

/** A change, with a line for each field. */
export function changeText(record: ChangeRecord): string {
  const { at, user, actor, verb, kind, namespace, name, fields, fieldsLeftOut } = record;
  const object = namespace === '' ? name : `${namespace}/${name}`;
  const lines = fields.flatMap(({ field, before, after }) => [
    ...(before === undefined ? [] : [`  - ${field}: ${before}`]),
    ...(after === undefined ? [] : [`  + ${field}: ${after}`]),
  ]);
  const more = fieldsLeftOut === 0 ? [] : [`  and ${fieldsLeftOut} more fields`];
  const who = actor === undefined ? user : `${user} (${actor} acting)`;
  const head = `${at}  ${who}  ${verb} ${kind} ${object}`;
  return `${[head, ...lines, ...more].map(printable).join('\n')}\n`;
}
