const COLUMNS_MAX = 100;

/** A line that is a comment and nothing else: what stands before its words, and the words. */
interface CommentLine {
  readonly prefix: string;
  readonly words: string;
}

function commentLine(line: string): CommentLine | undefined {
  const [, prefix = '', words = ''] = /^(\s*(?:\*|\/\/) )(\S.*)$/.exec(line) ?? [];
  return prefix === '' ? undefined : { prefix, words };
}

/** Lines that begin something new: a tag, an item of a list, a table, a directive, a heading. */
function beginsParagraph(words: string): boolean {
  return /^(@|[-*#>] |\||```|\d+\. |biome-ignore)/.test(words);
}

/** Words in lines that fit behind a prefix. */
function fill(prefix: string, text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && prefix.length + longer.length > COLUMNS_MAX) {
      lines.push(prefix + line);
      line = word;
    } else line = longer;
  }
  return [...lines, prefix + line];
}

/** `/** … *\/` on one line that is too long, as a block. */
function opened(line: string): string[] {
  const [, indent = '', words = ''] = /^(\s*)\/\*\* (\S.*?) \*\/$/.exec(line) ?? [];
  if (words === '' || line.length <= COLUMNS_MAX) return [line];
  return [`${indent}/**`, `${indent} * ${words}`, `${indent} */`];
}

/**
 * The paragraph of comment lines that starts at an index: those up to the next that begins
 * something new.
 */
function paragraphAt(lines: readonly string[], start: number): readonly CommentLine[] {
  const first = commentLine(lines[start] ?? '');
  if (!first) return [];
  const paragraph = [first];
  for (let at = start + 1; at < lines.length; at += 1) {
    const next = commentLine(lines[at] ?? '');
    if (next?.prefix !== first.prefix || beginsParagraph(next.words)) break;
    paragraph.push(next);
  }
  return paragraph;
}

/**
 * Source text with its comments wrapped to 100 columns, which the formatter leaves to us. A
 * paragraph that fits is left as it is; so are comments behind code, tables and examples.
 */
export function wrapComments(text: string): string {
  const lines = text.split('\n').flatMap(opened);
  const result: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const paragraph = paragraphAt(lines, at);
    const count = Math.max(1, paragraph.length);
    const [first] = paragraph;
    const here = lines.slice(at, at + count);
    const tooLong = here.some((line) => line.length > COLUMNS_MAX);
    const preformatted = first === undefined || /^(\||```)/.test(first.words);
    if (tooLong && !preformatted)
      result.push(...fill(first.prefix, paragraph.map(({ words }) => words).join(' ')));
    else result.push(...here);
    at += count;
  }
  return result.join('\n');
}
