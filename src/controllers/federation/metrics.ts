import type { Metrics } from '#base/metrics.ts';

/**
 * The metrics of bundles that are fetched.
 * @param oldestFetchAt when the least fresh one was fetched, wall-clock milliseconds; Infinity when
 *   there is none
 */
export function declareFederationMetrics(metrics: Metrics, oldestFetchAt: () => number) {
  const fetches = metrics.counter({
    name: 'bulwark_federation_fetches_total',
    help: 'Bundles of other trust domains that were fetched, by whether they were taken.',
    labels: ['result'],
  });
  for (const result of ['taken', 'failed'] as const) fetches.inc({ result }, 0);
  metrics.gaugeOf(
    {
      name: 'bulwark_federation_oldest_fetch_timestamp',
      help: 'When the least fresh bundle was fetched, in seconds since 1970; +Inf = none.',
    },
    () => oldestFetchAt() / 1000,
  );
  return {
    taken: { add: (): void => fetches.inc({ result: 'taken' }) },
    failed: { add: (): void => fetches.inc({ result: 'failed' }) },
  };
}

/** The counters that `declareFederationMetrics` declared. */
export type FederationMetrics = ReturnType<typeof declareFederationMetrics>;
