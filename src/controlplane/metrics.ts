import type { Metrics } from '#base/metrics.ts';

/** Declares the metrics of the port for agents and proxies; once for each registry. */
export function declareFrontMetrics(metrics: Metrics) {
  return {
    faultyRequests: metrics.counter<'status'>({
      name: 'bulwark_grpc_faulty_requests_total',
      help: 'Requests that broke the protocol or a limit, by gRPC status.',
      labels: ['status'],
    }),
  };
}
