import type { ExpressionProblem } from '#mixer/expression.ts';

/** A piece of an expression. */
export interface Token {
  readonly kind: 'name' | 'text' | 'integer' | 'decimal' | 'sign' | 'end';
  /** As it is written; of a text its content. */
  readonly text: string;
  /** Counted from 1. */
  readonly column: number;
}

const SPACE = /[ \t\r\n]+/y;
const NAME = /[A-Za-z_]\w*/y;
const NUMBER = /0[xX][0-9a-fA-F]+|\d+(\.\d+)?([eE][+-]?\d+)?/y;
const SIGN = /&&|\|\||==|!=|<=|>=|[<>!|+\-.,()[\]]/y;
/** Texts in double quotes have escapes, those in back quotes have none (as in Go). */
const QUOTED = /"((?:[^"\\\n]|\\.)*)"/y;
const RAW = /`([^`]*)`/y;
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([abfnrtv\\"']))/y;
const ESCAPED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Takes an expression apart; the last token is `end`. */
export function readTokens(source: string): readonly Token[] | ExpressionProblem {
  const tokens: Token[] = [];
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  while (at < source.length) {
    const column = at + 1;
    const space = next(SPACE);
    if (space) {
      at += space[0].length;
      continue;
    }
    const read = readToken(next, column);
    if (!('width' in read)) return read;
    tokens.push(read.token);
    at += read.width;
  }
  return [...tokens, { kind: 'end', text: '', column: source.length + 1 }];
}

function readToken(
  next: (pattern: RegExp) => RegExpExecArray | null,
  column: number,
): { readonly token: Token; readonly width: number } | ExpressionProblem {
  const found = (kind: Token['kind'], whole: string, text = whole) => ({
    token: { kind, text, column },
    width: whole.length,
  });
  const name = next(NAME);
  if (name) return found('name', name[0]);
  const number = next(NUMBER);
  if (number) {
    const isDecimal = number[1] !== undefined || number[2] !== undefined;
    return found(isDecimal ? 'decimal' : 'integer', number[0]);
  }
  const quoted = next(QUOTED);
  if (quoted) {
    const text = unescaped(quoted[1] ?? '');
    if (text !== undefined) return found('text', quoted[0], text);
    return { column, message: 'the text has an escape that there is not, after a `\\`' };
  }
  const raw = next(RAW);
  if (raw) return found('text', raw[0], raw[1]);
  const sign = next(SIGN);
  if (sign) return found('sign', sign[0]);
  return { column, message: 'no part of an expression begins like this (or a quote is missing)' };
}

/** The content of a quoted text; undefined when an escape is none of Go's. */
function unescaped(content: string): string | undefined {
  let text = '';
  for (let at = 0; at < content.length; ) {
    if (content[at] !== '\\') {
      text += content[at];
      at += 1;
      continue;
    }
    ESCAPE.lastIndex = at;
    const [whole, unicode, byte, letter = ''] = ESCAPE.exec(content) ?? [];
    if (whole === undefined) return undefined;
    const code = unicode ?? byte;
    const plain = ESCAPED[letter] ?? letter;
    text += code === undefined ? plain : String.fromCharCode(Number.parseInt(code, 16));
    at += whole.length;
  }
  return text;
}
