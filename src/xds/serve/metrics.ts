import type { Metrics } from '#base/metrics.ts';
import { type DiscoveryName, RESOURCE_TYPES } from '#xds/serve/resource-types.ts';

/** What the gauges ask for when they are read. */
export interface XdsCounts {
  readonly connected: () => number;
  /** Proxies that do not take some resource of a type. */
  readonly rejecting: (type: DiscoveryName) => number;
}

/** The metrics of xDS that `createXdsMetrics` declared. */
export type XdsMetrics = ReturnType<typeof createXdsMetrics>;

/** Declares the metrics of the xDS server, with Istio's names; once for each registry. */
export function createXdsMetrics(metrics: Metrics, counts: XdsCounts) {
  metrics.gaugeOf({ name: 'pilot_xds', help: 'Proxies connected by xDS.' }, () =>
    counts.connected(),
  );
  for (const { name } of RESOURCE_TYPES) {
    const what = `Proxies that do not take some resource of ${name.toUpperCase()}.`;
    metrics.gaugeOf({ name: `pilot_xds_${name}_reject`, help: what }, () => counts.rejecting(name));
  }
  const typed = (name: string, help: string) =>
    metrics.counter<'type'>({ name, help, labels: ['type'] });
  const sizeBytes = metrics.histogram<'type'>({
    name: 'pilot_xds_config_size_bytes',
    help: 'Bytes of responses; one that goes to many proxies counts once.',
    labels: ['type'],
    buckets: [1e3, 1e4, 1e5, 1e6, 4e6, 1e7, 4e7],
  });
  const names = RESOURCE_TYPES.map(({ name }) => [name, 0] as const);
  const pushes = Object.fromEntries(names) as Record<DiscoveryName, number>;
  metrics.counterOf(
    { name: 'pilot_xds_pushes', help: 'Responses that were sent to proxies.', labels: ['type'] },
    () => Object.entries(pushes),
  );
  const plain = (name: string, help: string) => metrics.counter({ name, help });
  return {
    pushed: (type: DiscoveryName): void => {
      pushes[type] += 1;
    },
    rejects: typed('pilot_total_xds_rejects', 'Responses that proxies rejected.'),
    expiredNonces: typed(
      'pilot_xds_expired_nonce',
      'Answers of proxies to a response that no longer counts.',
    ),
    internalErrors: plain(
      'pilot_total_xds_internal_errors',
      'Configurations that could not be made for a proxy.',
    ),
    slowStreams: plain(
      'pilot_xds_write_timeout',
      'Streams that were closed because the proxy did not read.',
    ),
    refusedStreams: plain(
      'bulwark_xds_refused_streams_total',
      'Streams that were refused: unknown caller, wrong identity or malformed node.',
    ),
    convergenceSeconds: metrics.tally({
      name: 'pilot_proxy_convergence_time',
      help: 'Seconds from a change until it was sent to a proxy that it concerns.',
      buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30],
    }),
    noteSize: (typeUrl: string, bytesCount: number): void => {
      const type = RESOURCE_TYPES.find((known) => known.typeUrl === typeUrl);
      if (type) sizeBytes.observe({ type: type.name }, bytesCount);
    },
  };
}
