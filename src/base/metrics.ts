import { Counter, Gauge, Histogram, Registry } from 'prom-client';

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

  counter<Label extends string = never>(definition: MetricDefinition<Label>): Counter<Label> {
    return new Counter({ ...this.#common(definition) });
  }

  gauge<Label extends string = never>(definition: MetricDefinition<Label>): Gauge<Label> {
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

  histogram<Label extends string = never>(definition: MetricDefinition<Label>): Histogram<Label> {
    const buckets = definition.buckets ? { buckets: [...definition.buckets] } : {};
    return new Histogram({ ...this.#common(definition), ...buckets });
  }

  /** All metrics in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #common<Label extends string>({ name, help, labels }: MetricDefinition<Label>) {
    return { name, help, labelNames: [...(labels ?? [])], registers: [this.#registry] };
  }
}
