// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * What is wrong with a text that becomes a header or a part of a request line (RFC 9110 section
 * 5.5): control characters, above all ends of lines. Undefined = nothing.
 */
export function oneLineProblem(text: string): string | undefined {
  return CONTROL.test(text) ? 'must be one line, without control characters' : undefined;
}
