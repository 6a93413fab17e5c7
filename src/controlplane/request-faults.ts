import type { Clock } from '#base/clock.ts';
import { GRPC_STATUS, type RequestFault } from '#base/grpc/grpc.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { RefusalLog } from '#ca/refusal-log.ts';
import { declareFrontMetrics } from '#controlplane/metrics.ts';

/** What RequestFaults needs. */
export interface RequestFaultsDeps {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
}

const NAMES = new Map<number, string>(
  Object.entries(GRPC_STATUS).map(([name, status]) => [status, name]),
);
/** A caller writes the path; so much of it is logged. */
const PATH_LENGTH_MAX = 200;

/**
 * Counts requests that break the protocol or a limit, such as one of 10 MB, and logs some of them.
 * To be called once for each registry.
 */
export function requestFaults(deps: RequestFaultsDeps): (fault: RequestFault) => void {
  const { faultyRequests } = declareFrontMetrics(deps.metrics);
  const log = new RefusalLog(deps);
  return ({ path, peer, error }) => {
    faultyRequests.inc({ status: NAMES.get(error.status) ?? 'unknown' });
    const method = path.slice(0, PATH_LENGTH_MAX);
    log.warn('a request broke the protocol or a limit', { method, caller: peer, error });
  };
}
