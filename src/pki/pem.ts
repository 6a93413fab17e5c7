import { BulwarkError } from '#base/errors.ts';

declare const pemBrand: unique symbol;

/**
 * PEM text that we made ourselves: one or more blocks, each line at most 64 characters, line feed
 * at the end.
 */
export type PemText = string & { readonly [pemBrand]: true };

/** The labels that we read and write (RFC 7468). */
export type PemLabel =
  | 'CERTIFICATE'
  | 'CERTIFICATE REQUEST'
  | 'PRIVATE KEY'
  | 'PUBLIC KEY'
  | 'X509 CRL';

/** Characters of base64 in a line. */
const LINE_LENGTH = 64;

/** One PEM block (RFC 7468 section 2). */
export function encodePem(label: PemLabel, der: Uint8Array): PemText {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  let text = `-----BEGIN ${label}-----\n`;
  // By slices: a regular expression takes several times as long, and each certificate pays it.
  for (let at = 0; at < base64.length; at += LINE_LENGTH)
    text += `${base64.slice(at, at + LINE_LENGTH)}\n`;
  return `${text}-----END ${label}-----\n` as PemText;
}

/** A block: 1 = label, 2 = base64 lines. */
const BLOCK =
  /-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t]*\r?\n([A-Za-z0-9+/=\r\n \t]*)-----END \1-----/y;
const BETWEEN = /\s*/y;

/**
 * The contents of all blocks of a PEM text, in order. Nothing but white space may stand around
 * them, and every block must have one of the labels.
 * @throws BulwarkError PKI_MALFORMED, also when there is no block at all
 */
export function decodePem(text: string, labels: readonly string[]): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  let offset = skipSpace(text, 0);
  while (offset < text.length) {
    BLOCK.lastIndex = offset;
    const match = BLOCK.exec(text);
    if (!match) throw malformed('the text is not properly PEM encoded');
    const [whole, label = '', content = ''] = match;
    if (!labels.includes(label)) throw malformed(`a PEM block ${label} where ${labels[0]} belongs`);
    blocks.push(decodeBase64(content));
    offset = skipSpace(text, offset + whole.length);
  }
  if (blocks.length === 0) throw malformed(`there is no PEM block ${labels[0]}`);
  return blocks;
}

function skipSpace(text: string, offset: number): number {
  // A line feed at most is what nearly always stands there.
  const at = text[offset] === '\n' ? offset + 1 : offset;
  if (at === text.length || text[at] === '-') return at;
  BETWEEN.lastIndex = at;
  BETWEEN.exec(text);
  return BETWEEN.lastIndex;
}

/** Strict: Buffer's own decoder silently skips or stops at what is no base64. */
function decodeBase64(content: string): Uint8Array {
  // It skips line feeds, too: text in full lines, as nearly all is, need not be copied first.
  const bytes = strictBytes(content, breaksOf(content)) ?? strictBytes(content.replace(/\s+/g, ''));
  if (!bytes) throw malformed('a PEM block is no base64');
  // A plain array: views of a Buffer cost several times as much.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The bytes of base64 in which so many line feeds are, one of them at the end; undefined when it
 * is none, or has other white space in it.
 */
function strictBytes(text: string, breaks = 0): Buffer | undefined {
  const length = text.length - breaks;
  const end = breaks > 0 ? text.length - 1 : text.length;
  const padding = text[end - 1] !== '=' ? 0 : text[end - 2] === '=' ? 2 : 1;
  const bytes = Buffer.from(text, 'base64');
  return length % 4 === 0 && bytes.length === (length / 4) * 3 - padding ? bytes : undefined;
}

/** How many lines a text has, when all are as `encodePem` writes them; otherwise 0. */
function breaksOf(text: string): number {
  const lines = Math.ceil(text.length / (LINE_LENGTH + 1));
  for (let line = 1; line < lines; line += 1)
    if (text[line * (LINE_LENGTH + 1) - 1] !== '\n') return 0;
  return text.endsWith('\n') ? lines : 0;
}

function malformed(message: string): BulwarkError {
  return new BulwarkError('PKI_MALFORMED', message);
}
