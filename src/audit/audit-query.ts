import type { AccessRecord, AuditRecord, AuditView, ChangeRecord } from '#admin/audit.ts';
import type { AuditTrail } from '#audit/audit-trail.ts';
import { readRecords } from '#audit/record-files.ts';
import { LIMITS } from '#base/limits.ts';

const FAMILIES = ['calls', 'changes', 'tokens'] as const;

/** Which records are asked for; what is not said does not matter. */
export interface AuditQuery {
  /** Records of calls, of changes, or of tokens that were asked for. */
  readonly of: (typeof FAMILIES)[number];
  /** Only later ones, by their number. */
  readonly after: number;
  readonly limit: number;
  /** `NAMESPACE`, `NAMESPACE/ACCOUNT`, a SPIFFE id or `outside`; of changes the user. */
  readonly from?: string | undefined;
  /** `NAMESPACE` or `NAMESPACE/NAME` of a workload; of changes of an object. */
  readonly to?: string | undefined;
  /** `NAMESPACE/NAME`: it decided, or it audits; of changes: it was changed. */
  readonly policy?: string | undefined;
  readonly decision?: 'allowed' | 'denied' | undefined;
}

/** Reads a query from the parameters of a request; what means nothing is left out. */
export function auditQueryOf(parameters: URLSearchParams): AuditQuery {
  const text = (name: string): string | undefined => parameters.get(name) || undefined;
  const number = (name: string): number => Math.trunc(Number(parameters.get(name) ?? 0)) || 0;
  const decision = text('decision');
  const limit = number('limit') || LIMITS.auditListMax;
  return {
    of: FAMILIES.find((family) => family === text('of')) ?? 'calls',
    after: Math.max(0, number('after')),
    limit: Math.min(LIMITS.auditListMax, Math.max(1, limit)),
    from: text('from'),
    to: text('to'),
    policy: text('policy'),
    decision: decision === 'allowed' || decision === 'denied' ? decision : undefined,
  };
}

/** Numbers of records are microseconds. */
const MICRO = 1000;

/** Answers a query from the files. */
export async function auditView(
  query: AuditQuery,
  { trail, files: filesMax }: { readonly trail: AuditTrail; readonly files: number },
): Promise<AuditView> {
  await trail.flushed();
  const { directory } = trail;
  if (directory === undefined)
    return { isKept: false, records: [], isCut: false, next: query.after };
  const sinceMs = Math.trunc(query.after / MICRO);
  let records: AuditRecord[] = [];
  let next = query.after;
  let isCut = false;
  for await (const value of readRecords({ directory, family: query.of, filesMax, sinceMs })) {
    const record = value as AuditRecord;
    next = Math.max(next, record.id);
    if (record.id <= query.after || !matches(record, query)) continue;
    records.push(record);
    if (records.length < 2 * query.limit) continue;
    records = records.slice(-query.limit);
    isCut = true;
  }
  isCut ||= records.length > query.limit;
  return { isKept: true, records: records.slice(-query.limit), isCut, next };
}

function matches(record: AuditRecord, query: AuditQuery): boolean {
  if (record.type === 'access') return matchesCall(record, query);
  if (record.type === 'change') return matchesChange(record, query);
  // What is missing could be anything.
  return true;
}

function matchesCall(record: AccessRecord, { from, to, policy, decision }: AuditQuery): boolean {
  if (decision !== undefined && record.decision !== decision) return false;
  if (from !== undefined && !isCaller(record.caller, from)) return false;
  if (to !== undefined && !isWorkload(record, to)) return false;
  return policy === undefined || record.policy === policy || record.auditedBy === policy;
}

function isCaller(caller: string | undefined, from: string): boolean {
  if (caller === undefined) return from === 'outside';
  const [namespace = '', account] = from.split('/');
  const end = account === undefined ? undefined : `/ns/${namespace}/sa/${account}`;
  if (caller === from) return true;
  return end === undefined ? caller.includes(`/ns/${namespace}/sa/`) : caller.endsWith(end);
}

/** A workload by its own name, by that of its service account, or by the first part of its name. */
function isWorkload({ workload }: AccessRecord, to: string): boolean {
  const [namespace, name] = to.split('/');
  if (workload.namespace !== namespace) return false;
  if (name === undefined || workload.name === name || workload.name.startsWith(`${name}-`))
    return true;
  return workload.identity.endsWith(`/sa/${name}`);
}

function matchesChange(record: ChangeRecord, { from, to, policy }: AuditQuery): boolean {
  if (from !== undefined && record.user !== from) return false;
  const name = `${record.namespace}/${record.name}`;
  if (to !== undefined && to !== record.namespace && to !== name) return false;
  return policy === undefined || policy === name;
}
