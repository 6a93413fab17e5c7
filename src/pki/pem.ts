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
  BETWEEN.lastIndex = offset;
  BETWEEN.exec(text);
  return BETWEEN.lastIndex;
}

/** Strict: Buffer's own decoder silently skips or stops at what is no base64. */
function decodeBase64(content: string): Uint8Array {
  const base64 = content.replace(/\s+/g, '');
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(base64, 'base64');
  if (base64.length % 4 !== 0 || bytes.length !== (base64.length / 4) * 3 - padding)
    throw malformed('a PEM block is no base64');
  // A plain array: views of a Buffer cost several times as much.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function malformed(message: string): BulwarkError {
  return new BulwarkError('PKI_MALFORMED', message);
}
