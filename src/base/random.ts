import { randomBytes } from 'node:crypto';

/** Randomness as the rest of the code sees it; comes in through constructors. */
export interface RandomSource {
  /** `count` bytes fit for keys and serial numbers. */
  bytes(count: number): Uint8Array;
  /** A number in [0, 1), for jitter; not for secrets. */
  fraction(): number;
}

/** The operating system's randomness. */
export const systemRandom: RandomSource = {
  bytes: (count) => randomBytes(count),
  fraction: () => Math.random(),
};
