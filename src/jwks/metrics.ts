import type { Metrics } from '#base/metrics.ts';
import type { KeyStatus } from '#jwks/key-state.ts';

/** What is counted of the keys of issuers; the first two under the names that Istio gives them. */
export function declareJwksMetrics(
  metrics: Metrics,
  statuses: () => readonly KeyStatus[],
): { succeeded(): void; failed(): void } {
  const successes = metrics.counter({
    name: 'pilot_jwks_resolver_network_fetch_success_total',
    help: 'Times that the keys of an issuer were fetched.',
  });
  const failures = metrics.counter({
    name: 'pilot_jwks_resolver_network_fetch_fail_total',
    help: 'Times that the keys of an issuer could not be fetched.',
  });
  metrics.gaugeOf(
    {
      name: 'bulwark_jwks_sources_without_keys',
      help: 'Issuers of which there are no keys, so that every token of theirs is refused.',
    },
    () => statuses().filter(({ count }) => count === 0).length,
  );
  metrics.gaugeOf(
    {
      name: 'bulwark_jwks_sources_failing',
      help: 'Issuers whose keys could not be fetched the last time.',
    },
    () => statuses().filter(({ error }) => error !== undefined).length,
  );
  return { succeeded: () => successes.inc(), failed: () => failures.inc() };
}
