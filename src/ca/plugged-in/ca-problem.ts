import { X509Certificate } from 'node:crypto';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { Certificate } from '#pki/certificate.ts';

/** The error for files that cannot be used together. */
export function caProblem(message: string, remedy: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_FILES_INVALID', message, {
    remedy,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Calls `parse`, and says whose failure it was. */
export function parsing<T>(what: string, file: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isBulwarkError(cause)) throw cause;
    const message = `${what} (${file}: ${cause.message})`;
    throw caProblem(message, `put a readable PEM file in the place of ${file}`, cause);
  }
}

/** The subject of a certificate, for people. */
export function subjectOf({ der }: Certificate): string {
  return JSON.stringify(new X509Certificate(der).subject?.replaceAll('\n', ', ') ?? '');
}
