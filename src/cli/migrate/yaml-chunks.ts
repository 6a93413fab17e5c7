/** One document of a text, as it is written. */
export interface YamlChunk {
  /**
   * The line `---` before it, or `...` at the end of the one before, with what follows on that
   * line; '' where there is none.
   */
  readonly head: string;
  readonly body: string;
  /** Lines of the text that it has, the first line being 1; both ends count. */
  readonly firstLine: number;
  readonly lastLine: number;
}

const MARKER = /^(---|\.\.\.)(\s|$)/;
/** A marker with nothing but a comment behind it. */
const BARE_MARKER = /^(---|\.\.\.)\s*(#.*)?$/;

/**
 * Takes a text of YAML documents apart at its lines `---` and `...`, none of which can be part of a
 * document (YAML 1.2.2, 9.1.2). Put together again, the parts are the text.
 */
export function chunksOf(text: string): readonly YamlChunk[] {
  const lines = text.split(/(?<=\n)/);
  const starts = lines.flatMap((line, index) => (MARKER.test(line) || index === 0 ? [index] : []));
  return starts.map((start, position) => {
    const end = starts[position + 1] ?? lines.length;
    const first = lines[start] ?? '';
    const head = BARE_MARKER.test(first.trimEnd()) ? first : '';
    const body = lines.slice(head === '' ? start : start + 1, end).join('');
    return { head, body, firstLine: start + 1, lastLine: end };
  });
}
