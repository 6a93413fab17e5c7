import type { Metrics } from '#base/metrics.ts';
import type { ListStatus } from '#lists/list-resolver.ts';

/** What is counted of lists that listcheckers take from elsewhere. */
export function declareListMetrics(
  metrics: Metrics,
  statuses: () => readonly ListStatus[],
): { succeeded(): void; failed(): void } {
  const successes = metrics.counter({
    name: 'bulwark_mixer_list_fetches_total',
    help: 'Times that a list of a listchecker was fetched.',
  });
  const failures = metrics.counter({
    name: 'bulwark_mixer_list_fetch_failures_total',
    help: 'Times that a list of a listchecker could not be fetched.',
  });
  metrics.gaugeOf(
    {
      name: 'bulwark_mixer_lists_missing',
      help: 'Lists that are not there, so that what they are asked about is denied.',
    },
    () => statuses().filter(({ entries }) => entries === undefined).length,
  );
  return { succeeded: () => successes.inc(), failed: () => failures.inc() };
}
