import { join } from 'node:path';
import type { AccessRecord, AuditRecord, ChangeRecord, GapRecord } from '#admin/audit.ts';
import { jsonLine } from '#admin/json-line.ts';
import { BatchWriter } from '#audit/batch-writer.ts';
import { createAuditMetrics } from '#audit/metrics.ts';
import { RECORD_FILES, type RecordFamily } from '#audit/record-files.ts';
import { RotatingFile } from '#audit/rotating-file.ts';
import type { Clock } from '#base/clock.ts';
import { ensurePrivateDirectory } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';

/** A place beside the files that records are handed to, as lines of JSON. */
export interface AuditSink {
  readonly name: string;
  /** Lines that one call is given at most. */
  readonly batchMax: number;
  readonly isRetried: boolean;
  write(lines: readonly string[]): Promise<void>;
}

export interface AuditTrailOptions {
  /** Where files are; undefined = there are none. */
  readonly directory: string | undefined;
  readonly fileBytes: number;
  readonly files: number;
  readonly sinks: readonly AuditSink[];
}

export interface AuditTrailDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** A record without its number. */
export type NewRecord = Omit<AccessRecord, 'id'> | Omit<ChangeRecord, 'id'> | Omit<GapRecord, 'id'>;

/** Microseconds of a millisecond. */
const MICRO = 1000;

/**
 * Hands records on to files and other sinks. It never makes anybody wait, and holds no more than
 * its bounds: each sink has a queue of its own, so a slow one harms itself alone.
 */
export class AuditTrail implements Component {
  readonly name = 'audit';
  readonly metrics: ReturnType<typeof createAuditMetrics>;
  readonly #options: AuditTrailOptions;
  readonly #deps: AuditTrailDeps;
  readonly #files: ReadonlyMap<RecordFamily, { file: RotatingFile; writer: BatchWriter }>;
  readonly #sinks: readonly BatchWriter[];
  #lastId = 0;

  constructor(options: AuditTrailOptions, deps: AuditTrailDeps) {
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child({ component: this.name }) };
    this.metrics = createAuditMetrics(deps.metrics);
    this.#sinks = options.sinks.map((sink) => this.#writer(sink));
    const { directory } = options;
    const families = Object.keys(RECORD_FILES) as RecordFamily[];
    this.#files = new Map(
      directory === undefined
        ? []
        : families.map((family) => [family, this.#file(family, directory)]),
    );
  }

  /** Where files are; undefined = there are none. */
  get directory(): string | undefined {
    return this.#options.directory;
  }

  /** @throws BulwarkError FILES_UNWRITABLE */
  async start(): Promise<void> {
    const { directory } = this.#options;
    if (directory !== undefined) await ensurePrivateDirectory(directory);
  }

  async close(): Promise<void> {
    for (const writer of this.#sinks) await writer.close();
    for (const { file, writer } of this.#files.values()) {
      await writer.close();
      await file.close();
    }
  }

  /** Takes a record; a moment later it is where it belongs. */
  record(record: NewRecord): void {
    const id = Math.max(this.#lastId + 1, Math.trunc(this.#deps.clock.now() * MICRO));
    this.#lastId = id;
    this.metrics.records.inc({ type: record.type });
    const line = jsonLine({ ...record, id } satisfies AuditRecord);
    this.keep(familyOf(record), line);
    for (const sink of this.#sinks) sink.push(line);
  }

  /** Adds a line to files of a family, and to no other sink. */
  keep(family: RecordFamily, line: string): void {
    this.#files.get(family)?.writer.push(line);
  }

  /** Resolves when the files hold what was recorded before. */
  async flushed(): Promise<void> {
    for (const { writer } of this.#files.values()) await writer.flushed();
  }

  #file(family: RecordFamily, directory: string) {
    const { fileBytes: bytesMax, files: filesMax } = this.#options;
    const path = join(directory, RECORD_FILES[family]);
    const isSynced = family === 'changes' || family === 'tokens';
    const file = new RotatingFile({ path, bytesMax, filesMax, isSynced });
    const write = (lines: readonly string[]) => file.append(`${lines.join('\n')}\n`);
    return {
      file,
      writer: this.#writer({ name: `file ${family}`, batchMax: 1000, isRetried: false, write }),
    };
  }

  #writer(sink: AuditSink): BatchWriter {
    const { name, batchMax, isRetried } = sink;
    return new BatchWriter(
      {
        name,
        batchMax,
        isRetried,
        linesMax: LIMITS.auditWaitingMax,
        charactersMax: LIMITS.auditWaitingCharactersMax,
        write: (lines) => sink.write(lines),
      },
      { ...this.#deps, onLost: (count) => this.metrics.lost.inc({ sink: name }, count) },
    );
  }
}

function familyOf(record: NewRecord): RecordFamily {
  if (record.type !== 'change') return 'calls';
  return record.kind === 'TokenRequest' ? 'tokens' : 'changes';
}
