import type { Metrics } from '#base/metrics.ts';

/** The metrics of records that `createAuditMetrics` declared. */
export type AuditMetrics = ReturnType<typeof createAuditMetrics>;

/** Declares the metrics of audit records; once for each registry. */
export function createAuditMetrics(metrics: Metrics) {
  return {
    records: metrics.counter<'type'>({
      name: 'bulwark_audit_records_total',
      help: 'Records that were taken: of calls, changes, and of what is missing.',
      labels: ['type'],
    }),
    lost: metrics.counter<'sink'>({
      name: 'bulwark_audit_lost_total',
      help: 'Records that did not get to a sink: it failed, or was too slow.',
      labels: ['sink'],
    }),
    leftOut: metrics.counter({
      name: 'bulwark_audit_left_out_total',
      help: 'Records that proxies told above the rate that is taken of one workload.',
    }),
    sampled: metrics.counter({
      name: 'bulwark_audit_sampled_calls_total',
      help: 'Calls that proxies told as a sample.',
    }),
  };
}
