// What records cost a request that is fine: CPU time of the Envoy that looks whether there is
// something to tell, against one that does not, in alternation.
import type { BenchResult } from '../bench-result.ts';
import { pairedCpu } from '../paired-cpu.ts';
import { startAuditedBackend } from './audited-backend.ts';

/** An allowed request while records are streamed, against one while they are not. */
export function bench(): Promise<BenchResult> {
  return pairedCpu({
    name: 'audit-allowed',
    numerator: 'allowed, records on',
    denominator: 'allowed, records off',
    goal: 1.05,
    start: (after) => startAuditedBackend(after, { path: '/allowed', status: 200 }),
  });
}
