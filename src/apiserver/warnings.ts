/** Kubernetes' bound on all warnings of one answer, in characters. */
const LENGTH_MAX = 4096;

/**
 * The headers that carry warnings to the user (RFC 7234 section 5.5, code 299; kubectl prints
 * them).
 */
export function warningHeaders(warnings: readonly string[]): Record<string, readonly string[]> {
  const values: string[] = [];
  let length = 0;
  for (const warning of warnings) {
    // Header values are printable ASCII: the rest of what a user wrote is not repeated.
    const text = warning.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&');
    length += text.length;
    if (length > LENGTH_MAX) break;
    values.push(`299 - "${text}"`);
  }
  return values.length === 0 ? {} : { warning: values };
}
