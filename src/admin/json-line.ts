/** Characters that end a line, move a cursor, or hide text. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A value as one line of JSON, without line end, that is safe to show in a terminal. */
export function jsonLine(value: unknown): string {
  return printable(JSON.stringify(value));
}

/** Text with escapes (`\u001b`) in place of what a terminal would act on. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
