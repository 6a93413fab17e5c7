// Runs one benchmark in this process and sends its result to the parent: node run-one.ts FILE
import { pathToFileURL } from 'node:url';
import type { BenchResult } from '../../bench/bench-result.ts';

const [file = ''] = process.argv.slice(2);
const module: { bench?: () => Promise<BenchResult> } = await import(pathToFileURL(file).href);
if (typeof module.bench !== 'function') throw new Error(`${file} exports no function "bench"`);
const result = await module.bench();
// Exits though the benchmark may have left something open: its figures are all that counts.
process.send?.(result, () => process.exit(0));
