import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemCode } from '#base/errors.ts';

/** Files of records, by what is in them: a flood of one kind does not push the others out. */
export const RECORD_FILES = {
  /** AccessRecord and GapRecord. */
  calls: 'calls.jsonl',
  /** ChangeRecord. */
  changes: 'changes.jsonl',
  /** ChangeRecord of tokens that were asked for, as every agent does all the time. */
  tokens: 'tokens.jsonl',
  /** TrafficRow. */
  traffic: 'traffic.jsonl',
} as const;

/** One of the kinds of files. */
export type RecordFamily = keyof typeof RECORD_FILES;

export interface ReadRecordsOptions {
  readonly directory: string;
  readonly family: RecordFamily;
  readonly filesMax: number;
  /** Files that were last written to before this are passed over. Milliseconds since 1970. */
  readonly sinceMs: number;
}

/**
 * The lines of the files of a family, the oldest first, each parsed. What a crash left of a line is
 * passed over. Others have their turn while files are read.
 */
export async function* readRecords(options: ReadRecordsOptions): AsyncGenerator<unknown> {
  const path = join(options.directory, RECORD_FILES[options.family]);
  for (let number = options.filesMax - 1; number >= 0; number -= 1) {
    const file = number === 0 ? path : `${path}.${number}`;
    if (!(await isWrittenSince(file, options.sinceMs))) continue;
    yield* readLines(file);
  }
}

async function isWrittenSince(file: string, sinceMs: number): Promise<boolean> {
  try {
    return (await stat(file)).mtimeMs >= sinceMs;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function* readLines(file: string): AsyncGenerator<unknown> {
  const input = createReadStream(file, 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const value = parsed(line);
      if (value !== undefined) yield value;
    }
  } catch (error) {
    // It was the oldest, and has gone meanwhile.
    if (systemCode(error) !== 'ENOENT') throw error;
  } finally {
    input.destroy();
  }
}

function parsed(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // what a crash left of a line
  }
}
