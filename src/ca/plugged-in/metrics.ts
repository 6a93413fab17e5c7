import type { Metrics } from '#base/metrics.ts';

/** Declares the metrics of an authority that is plugged in; once for each registry. */
export function declareCaFilesMetrics(metrics: Metrics) {
  const reloads = metrics.counter({
    name: 'bulwark_ca_files_reloads_total',
    help: 'Changed sets of CA files, by whether they were taken.',
    labels: ['result'],
  });
  for (const result of ['taken', 'refused'] as const) reloads.inc({ result }, 0);
  return { reloaded: (result: 'taken' | 'refused'): void => reloads.inc({ result }) };
}
