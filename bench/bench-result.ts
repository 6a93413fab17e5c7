/** One measured side of a ratio. */
export interface BenchSide {
  /** What was measured, in a few words: `CSR → certificate`. */
  readonly label: string;
  readonly value: number;
  /** `µs`, `ms`, `requests/s` … */
  readonly unit: string;
}

/**
 * What a benchmark found: ours over the peer or the physical limit, both measured in the same run,
 * so that the ratio holds on any machine. A file `bench/<room>/<name>.bench.ts` exports `async
 * function bench(): Promise<BenchResult>` and is run in a process of its own by `npm run bench`.
 */
export interface BenchResult {
  /** The file's name without `.bench.ts`. */
  readonly name: string;
  /** Ours. */
  readonly numerator: BenchSide;
  /** The peer, the floor or the bound. */
  readonly denominator: BenchSide;
  /** numerator / denominator: the median over the rounds. */
  readonly ratio: number;
  /** The lowest and the highest ratio of a single round. */
  readonly spread: { readonly min: number; readonly max: number };
  /** The ratio that is aimed at; at most this is good. */
  readonly goal: number;
  readonly note?: string;
}
