import { LIMITS } from '#base/limits.ts';

/** RFC 6750 section 2.1; the scheme in any case, one space or more, nothing after the token. */
const BEARER = /^bearer +([A-Za-z0-9._~+/=-]+)$/i;

/**
 * The token of an `Authorization` header; undefined when there is none, when it is of another
 * scheme, malformed, or longer than LIMITS.tokenBytesMax.
 */
export function bearerTokenOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > LIMITS.tokenBytesMax) return undefined;
  return BEARER.exec(authorization)?.[1];
}
