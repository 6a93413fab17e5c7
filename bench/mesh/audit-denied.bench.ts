// What the record of a denied request costs: CPU time of the Envoy that denies and tells, against
// one that denies, in alternation.
import type { BenchResult } from '../bench-result.ts';
import { pairedCpu } from '../paired-cpu.ts';
import { startAuditedBackend } from './audited-backend.ts';

/** A denied request that is recorded, against one that is not. */
export function bench(): Promise<BenchResult> {
  return pairedCpu({
    name: 'audit-denied',
    numerator: 'denied and recorded',
    denominator: 'denied',
    goal: 2,
    start: (after) => startAuditedBackend(after, { path: '/denied', status: 403 }),
  });
}
