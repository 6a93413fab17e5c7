import { createRequire } from 'node:module';
import type * as Prometheus from 'prom-client';

/**
 * Its parts by themselves: the whole of it brings tracing and a gateway along, which cost an agent
 * 20 ms at its start and 8 MB (docs/adr/0031-what-an-agent-loads.md).
 */
const part = createRequire(import.meta.url);
const Counter: typeof Prometheus.Counter = part('prom-client/lib/counter');
const Gauge: typeof Prometheus.Gauge = part('prom-client/lib/gauge');
const Histogram: typeof Prometheus.Histogram = part('prom-client/lib/histogram');
const Registry: typeof Prometheus.Registry = part('prom-client/lib/registry');

/**
 * What a metric is, apart from its kind. Each module keeps its metrics in one `metrics.ts` table.
 */
export interface MetricDefinition<Label extends string> {
  /**
   * snake_case with its unit as suffix; Istio's name where Istio has one (facts: interface names).
   */
  readonly name: string;
  readonly help: string;
  /** A closed set of names; values come from closed sets too. */
  readonly labels?: readonly Label[];
  /** Upper bounds, for histograms. */
  readonly buckets?: readonly number[];
}

/**
 * A registry that modules declare their metrics against; one for each process, fresh ones in tests.
 */
export class Metrics {
  readonly #registry = new Registry();

  counter<Label extends string = never>(
    definition: MetricDefinition<Label>,
  ): Prometheus.Counter<Label> {
    return new Counter({ ...this.#common(definition) });
  }

  gauge<Label extends string = never>(
    definition: MetricDefinition<Label>,
  ): Prometheus.Gauge<Label> {
    return new Gauge({ ...this.#common(definition) });
  }

  /** A gauge without labels whose value is asked for whenever the metrics are read. */
  gaugeOf(definition: MetricDefinition<never>, value: () => number): void {
    new Gauge({
      ...this.#common(definition),
      collect() {
        this.set(value());
      },
    });
  }

  histogram<Label extends string = never>(
    definition: MetricDefinition<Label>,
  ): Prometheus.Histogram<Label> {
    const buckets = definition.buckets ? { buckets: [...definition.buckets] } : {};
    return new Histogram({ ...this.#common(definition), ...buckets });
  }

  /**
   * A counter with one label whose counts are kept by whoever counts, and asked for whenever the
   * metrics are read: for what happens too often to look up a label each time.
   */
  counterOf<Label extends string>(
    definition: MetricDefinition<Label> & { readonly labels: readonly [Label] },
    counts: () => Iterable<readonly [value: string, count: number]>,
  ): void {
    const [label] = definition.labels;
    new Counter({
      ...this.#common<string>(definition),
      collect() {
        this.reset();
        for (const [value, count] of counts()) this.inc({ [label]: value }, count);
      },
    });
  }

  /** A histogram without labels for what happens very often; `observe` is a few additions. */
  tally(definition: MetricDefinition<never> & { readonly buckets: readonly number[] }): Tally {
    const tally = new Tally(definition);
    this.#registry.registerMetric(tally as unknown as Prometheus.Histogram);
    return tally;
  }

  /** All metrics in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #common<Label extends string>({ name, help, labels }: MetricDefinition<Label>) {
    return { name, help, labelNames: [...(labels ?? [])], registers: [this.#registry] };
  }
}

/** A histogram that counts by itself and gives its counts away when the metrics are read. */
export class Tally {
  readonly name: string;
  readonly #help: string;
  /** Upper bounds, ascending. */
  readonly #bounds: readonly number[];
  /** How often a value was at most the bound of the same place, and above the one before. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor({ name, help, buckets }: MetricDefinition<never> & { buckets: readonly number[] }) {
    this.name = name;
    this.#help = help;
    this.#bounds = buckets;
    this.#counts = new Float64Array(buckets.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  /** As prom-client's registry asks for it. */
  async get() {
    const { name } = this;
    let count = 0;
    const values: { metricName: string; labels: Record<string, string | number>; value: number }[] =
      [];
    for (const [at, le] of [...this.#bounds, '+Inf'].entries()) {
      count += this.#counts[at] ?? 0;
      values.push({ metricName: `${name}_bucket`, labels: { le }, value: count });
    }
    values.push({ metricName: `${name}_sum`, labels: {}, value: this.#sum });
    values.push({ metricName: `${name}_count`, labels: {}, value: count });
    return { name, help: this.#help, type: 'histogram', values, aggregator: 'sum' };
  }
}
