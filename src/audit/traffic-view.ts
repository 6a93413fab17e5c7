import type { TrafficRow, TrafficView } from '#admin/audit.ts';
import type { AuditTrail } from '#audit/audit-trail.ts';
import { readRecords } from '#audit/record-files.ts';
import { keyOfRow, type TrafficCounts, type TrafficLine } from '#audit/traffic-counts.ts';
import { LIMITS } from '#base/limits.ts';

export interface TrafficViewDeps {
  readonly trail: AuditTrail;
  readonly traffic: TrafficCounts;
  readonly percent: number;
  readonly files: number;
}

/** What was counted of calls since an instant (milliseconds since 1970), to the hour. */
export async function trafficView(
  sinceMs: number,
  { trail, traffic, percent, files: filesMax }: TrafficViewDeps,
): Promise<TrafficView> {
  traffic.flush();
  await trail.flushed();
  const { directory } = trail;
  const none = { percent, isKept: false, rows: [], since: undefined, notToldApart: 0 };
  if (directory === undefined) return none;
  const rows = new Map<string, TrafficRow>();
  let notToldApart = 0;
  let since: string | undefined;
  for await (const value of readRecords({ directory, family: 'traffic', filesMax, sinceMs })) {
    const line = value as TrafficLine;
    if (Date.parse(line.hour) + HOUR_MS <= sinceMs) continue;
    since ??= line.hour;
    notToldApart += line.notToldApart ?? 0;
    if (!line.row) continue;
    const key = keyOfRow(line.row);
    const seen = line.row.seen + (rows.get(key)?.seen ?? 0);
    if (rows.has(key) || rows.size < LIMITS.trafficRowsMax) rows.set(key, { ...line.row, seen });
    else notToldApart += line.row.seen;
  }
  return { percent, isKept: true, rows: [...rows.values()], since, notToldApart };
}

const HOUR_MS = 3_600_000;
