import { describeError, isBulwarkError } from '#base/errors.ts';

/** What one check of `bulwark doctor` found. */
export interface Finding {
  /** What was looked at: `node`, `tls`, `token frontend.photo-ns`. */
  readonly check: string;
  /** Only `failed` keeps an agent from working. */
  readonly state: 'ok' | 'warning' | 'failed' | 'skipped';
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string | undefined;
}

/** What a check may say; undefined fields are left out. */
type Result = Omit<Finding, 'check'> | string;

/**
 * Runs one check.
 * @param look gives a message when all is well, or a finding; what it throws is a failure
 */
export async function examine(
  check: string,
  look: () => Promise<Result> | Result,
): Promise<Finding> {
  try {
    const result = await look();
    return typeof result === 'string'
      ? { check, state: 'ok', message: result }
      : { check, ...result };
  } catch (error) {
    if (!isBulwarkError(error)) return { check, state: 'failed', message: describeError(error) };
    return { check, state: 'failed', message: error.message, remedy: error.remedy };
  }
}
