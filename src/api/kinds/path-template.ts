const ONE_SEGMENT = '{*}';
const ANY_SEGMENTS = '{**}';
/**
 * Characters of a plain segment in a template (RFC 3986 pchar, as Envoy's template matcher takes
 * them).
 */
const LITERAL = /^[A-Za-z0-9\-._~%!$&'()+,;:@=]+$/;

/**
 * What is wrong with a path of an AuthorizationPolicy. Braces stand for path templates only: `{*}`
 * is one segment, `{**}` any number of segments and the last operator; beside them a template has
 * no wildcards.
 */
export function pathTemplateProblem(path: string): string | undefined {
  const segments = path.replace(/^\/|\/$/g, '').split('/');
  const isTemplate = path.includes(ONE_SEGMENT) || path.includes(ANY_SEGMENTS);
  let anyBefore = false;
  for (const segment of segments) {
    if (segment === ONE_SEGMENT || segment === ANY_SEGMENTS) {
      if (anyBefore) return 'in a path template {**} must be the last operator';
      anyBefore = segment === ANY_SEGMENTS;
    } else if (/[{}]/.test(segment)) {
      return 'braces must be the path template {*} or {**}, alone between slashes';
    } else if (isTemplate && !LITERAL.test(segment)) {
      return `the segment "${segment}" of the path template is empty or has wildcards`;
    }
  }
  return isTemplate && !path.startsWith('/') ? 'a path template must begin with /' : undefined;
}
