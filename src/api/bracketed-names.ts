/**
 * The name between the first bracket and the last: `[a]` → `a`, `[[a]]` → `[a]`.
 * @returns undefined when the text does not begin and end with brackets
 */
export function nameInBrackets(text: string): string | undefined {
  return text.length > 1 && text.startsWith('[') && text.endsWith(']')
    ? text.slice(1, -1)
    : undefined;
}

/**
 * The names of brackets one after the other: `[a][b]` → `a`, `b`; names may be empty.
 * @returns undefined when the text is anything else
 */
export function namesInBrackets(text: string): readonly string[] | undefined {
  return /^(\[[^[\]]*\])+$/.test(text) ? text.slice(1, -1).split('][') : undefined;
}

/** A header name as Envoy takes it: a token (RFC 9110 section 5.1), or a pseudo-header. */
export function isHeaderName(name: string): boolean {
  return /^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name);
}
