import type { Metrics } from '#base/metrics.ts';

/** Declares the metrics of the API server; once for each registry. */
export function declareApiMetrics(metrics: Metrics) {
  return {
    refused: metrics.counter<'reason'>({
      name: 'bulwark_api_refused_total',
      help: 'Requests that were refused: without good credentials, or without the right to it.',
      labels: ['reason'],
    }),
  };
}
