import type { ErrorCode } from '#base/error-codes.ts';

/** What goes with an error beside its code: facts for the log and for programs. Never secrets. */
export type ErrorData = Readonly<Record<string, unknown>>;

/** Extras of a BulwarkError. */
export interface BulwarkErrorOptions {
  /** What the user can do about it: one sentence, imperative. */
  readonly remedy?: string;
  readonly data?: ErrorData;
  readonly cause?: unknown;
}

/**
 * The world is wrong (disk, network, peer, file): a typed error with a code, for callers to tell
 * apart and for the log to show in full. A user's wrong configuration is a diagnostic value instead
 * (api/diagnostic), and a programmer's mistake an assertion (base/assert).
 */
export class BulwarkError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: BulwarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BulwarkError';
    this.code = code;
    this.remedy = options.remedy;
    this.data = options.data ?? {};
  }
}

/** Whether `error` is a BulwarkError, optionally of one code. */
export function isBulwarkError(error: unknown, code?: ErrorCode): error is BulwarkError {
  return error instanceof BulwarkError && (code === undefined || error.code === code);
}

/** The operating system's error code (`ENOENT`, `EADDRINUSE` …) of an error, when it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** One line for a user: the message, its cause when that says more, and the remedy. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  const detail = cause && !error.message.includes(cause) ? `: ${cause}` : '';
  const remedy = error instanceof BulwarkError && error.remedy ? ` (${error.remedy})` : '';
  return `${error.message}${detail}${remedy}`;
}
