/** Control characters but those that lay out text: tabs, and ends of lines. */
const CONTROL = /(?![\t\n]|\r\n)\p{Cc}/gu;
const ANY_CONTROL = /\p{Cc}/gu;

/**
 * A text that does nothing to a terminal but be read. Names, paths and reasons come from workloads
 * and their callers: escape sequences in them could move the cursor, and show an administrator
 * another answer than the one that was given (CVE-2021-25743 of kubectl).
 */
function printable(text: string): string {
  return text.replace(CONTROL, escaped);
}

/** The same for a part of a line, which makes no further lines or columns either. */
export function printableCell(text: string): string {
  return text.replace(ANY_CONTROL, escaped);
}

/** Makes everything that is written to a stream from now on printable. */
export function writePrintable(stream: Pick<NodeJS.WriteStream, 'write'>): void {
  const write = stream.write.bind(stream) as (chunk: unknown, ...rest: unknown[]) => boolean;
  stream.write = (chunk: unknown, ...rest: unknown[]) =>
    write(typeof chunk === 'string' ? printable(chunk) : chunk, ...rest);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
