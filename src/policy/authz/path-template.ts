/**
 * A path with `{*}` for one segment and `{**}` for any number of them. Only `parsePathTemplate`
 * makes one.
 */
export interface PathTemplate {
  /** As Envoy's URI template matcher reads it, with plain asterisks. */
  readonly text: string;
  /**
   * Whether the operators stand for every character a path may have. Envoy's own matcher leaves out
   * `[` and `]`, so that a path with one of them slips past a DENY.
   */
  readonly anyCharacter: boolean;
}

const ONE_SEGMENT = '{*}';
const ANY_SEGMENTS = '{**}';
const LITERAL = /^[A-Za-z0-9\-._~%!$&'()+,;:@=]+$/;

/** Whether a path of a policy is a template rather than a text with a wildcard. */
export function isPathTemplate(path: string): boolean {
  return path.includes(ONE_SEGMENT) || path.includes(ANY_SEGMENTS);
}

/**
 * Reads `/a/{*}/b/{**}`. Undefined for a template that Envoy would not take: it does not answer one
 * with a NACK, it dies of it, so nothing unusual may get past here.
 */
export function parsePathTemplate(path: string, anyCharacter: boolean): PathTemplate | undefined {
  const [first, ...segments] = path.split('/');
  if (first !== '' || segments.length === 0) return undefined;
  let anyBefore = false;
  for (const [at, segment] of segments.entries()) {
    const isOperator = segment === ONE_SEGMENT || segment === ANY_SEGMENTS;
    const isTrailingSlash = segment === '' && at > 0 && at === segments.length - 1;
    if (isOperator ? anyBefore : !isTrailingSlash && !LITERAL.test(segment)) return undefined;
    anyBefore ||= segment === ANY_SEGMENTS;
  }
  return { text: path.replaceAll(/[{}]/g, ''), anyCharacter };
}
