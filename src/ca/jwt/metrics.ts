import type { Metrics } from '#base/metrics.ts';

/** The metrics of tokens for workloads. */
export function declareJwtMetrics(metrics: Metrics) {
  const counter = (name: string, help: string) => {
    const declared = metrics.counter({ name, help });
    return { add: (): void => declared.inc() };
  };
  return {
    issued: counter('bulwark_ca_jwt_svids_issued_total', 'JWT-SVIDs that were issued.'),
    refused: counter('bulwark_ca_jwt_svids_refused_total', 'Requests that got no JWT-SVID.'),
  };
}

/** The counters that `declareJwtMetrics` declared. */
export type JwtMetrics = ReturnType<typeof declareJwtMetrics>;
