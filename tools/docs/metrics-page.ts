import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Counter, Gauge, Histogram } from 'prom-client';
import { systemClock } from '#base/clock.ts';
import { type MetricDefinition, Metrics, type Tally } from '#base/metrics.ts';
import { code, page, table } from './markdown.ts';

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url));

interface Declared extends MetricDefinition<string> {
  readonly type: 'counter' | 'gauge' | 'histogram';
}

/** A registry that notes what is declared. */
class NotingMetrics extends Metrics {
  readonly declared: Declared[] = [];

  override counter<L extends string = never>(definition: MetricDefinition<L>): Counter<L> {
    this.declared.push({ ...definition, type: 'counter' });
    return super.counter(definition);
  }

  override gauge<L extends string = never>(definition: MetricDefinition<L>): Gauge<L> {
    this.declared.push({ ...definition, type: 'gauge' });
    return super.gauge(definition);
  }

  override gaugeOf(definition: MetricDefinition<never>): void {
    this.declared.push({ ...definition, type: 'gauge' });
  }

  override counterOf<L extends string>(definition: MetricDefinition<L>): void {
    this.declared.push({ ...definition, type: 'counter' });
  }

  override tally(definition: Parameters<Metrics['tally']>[0]): Tally {
    this.declared.push({ ...definition, type: 'histogram' });
    return super.tally(definition);
  }

  override histogram<L extends string = never>(definition: MetricDefinition<L>): Histogram<L> {
    this.declared.push({ ...definition, type: 'histogram' });
    return super.histogram(definition);
  }
}

/** What declarations look at to know what there is to be measured: a world with nothing in it. */
const NOTHING = { signer: { issuers: [] }, clock: systemClock };

/** What the functions `create…Metrics` and `declare…Metrics` of a module declare. */
async function metricsOf(path: string): Promise<readonly Declared[]> {
  const module: Record<string, unknown> = await import(pathToFileURL(join(SOURCES, path)).href);
  const metrics = new NotingMetrics();
  for (const [name, value] of Object.entries(module)) {
    if (/^(create|declare)\w*Metrics$/.test(name) && typeof value === 'function')
      value(metrics, NOTHING);
  }
  if (metrics.declared.length === 0) throw new Error(`${path} declares no metrics`);
  return metrics.declared;
}

/** docs/reference/metrics.md */
export async function metricsPage(): Promise<string> {
  const paths = globSync('**/metrics.ts', { cwd: SOURCES }).filter((path) => !/^base/.test(path));
  const parts = await Promise.all(
    paths.sort().map(async (path) => {
      const rows = [...(await metricsOf(path))]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, type, labels, help }) => [
          code(name),
          type,
          (labels ?? []).map(code).join(' '),
          help,
        ]);
      return `## ${dirname(path)}\n\n${table(['metric', 'type', 'labels', 'what it is'], rows)}`;
    }),
  );
  const introduction =
    'What each part counts, in the Prometheus text format. Names are those of Istio where it has one.';
  return page('Metrics', '`src/**/metrics.ts`', [introduction, ...parts]);
}
