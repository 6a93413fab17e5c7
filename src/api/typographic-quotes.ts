import { isScalar, visit, type Document as YamlDocument } from 'yaml';
import type { Diagnostic } from '#api/diagnostic.ts';
import { invalid } from '#api/field-error.ts';
import { LIMITS } from '#base/limits.ts';

/** A text between quotes as print and word processors set them. */
const DOUBLE = /^[“”„‟]([^“”„‟]*)[“”‟]$/;
const SINGLE = /^[‘’‚‛]([^‘’‚‛]*)[‘’‛]$/;

/** Fields whose texts are nobody's syntax. */
const FREE_TEXT: ReadonlySet<unknown> = new Set(['annotations', 'data', 'stringData']);

/** A scalar that has typographic quotes around it, and what it should be. */
export interface QuoteCorrection {
  /** In characters. */
  readonly offset: number;
  readonly length: number;
  readonly corrected: string;
}

/** A text as it is meant: between straight quotes; undefined when nothing is wrong with it. */
function corrected(text: string): string | undefined {
  const double = DOUBLE.exec(text)?.[1];
  if (double !== undefined) return `"${double.replaceAll(/["\\]/g, '\\$&')}"`;
  const single = SINGLE.exec(text)?.[1];
  return single === undefined ? undefined : `'${single.replaceAll("'", "''")}'`;
}

/**
 * Scalars of a document that stand between typographic quotes, which YAML takes for a part of the
 * text. In order; those of free texts are left alone.
 */
export function quoteCorrections(document: YamlDocument.Parsed): readonly QuoteCorrection[] {
  const found: QuoteCorrection[] = [];
  visit(document, {
    Pair(_, { key }) {
      return isScalar(key) && FREE_TEXT.has(key.value) ? visit.SKIP : undefined;
    },
    Scalar(_, { type, source, range }) {
      if (type !== 'PLAIN' || source === undefined || !range) return;
      const straight = corrected(source);
      if (straight === undefined) return;
      found.push({ offset: range[0], length: source.length, corrected: straight });
    },
  });
  return found.sort((a, b) => a.offset - b.offset);
}

/** The line of a text that a correction is in, with all of them made; without its indentation. */
export function correctedLine(
  text: string,
  { offset }: QuoteCorrection,
  corrections: readonly QuoteCorrection[],
): string {
  const start = text.lastIndexOf('\n', offset) + 1;
  const end = `${text}\n`.indexOf('\n', offset);
  const inLine = corrections
    .filter((one) => one.offset >= start && one.offset + one.length <= end)
    .map((one) => ({ ...one, offset: one.offset - start }));
  return applyCorrections(text.slice(start, end), inLine).trim();
}

/** A text with corrections made in it. */
export function applyCorrections(text: string, corrections: readonly QuoteCorrection[]): string {
  let from = 0;
  let result = '';
  for (const { offset, length, corrected: straight } of corrections) {
    result += text.slice(from, offset) + straight;
    from = offset + length;
  }
  return result + text.slice(from);
}

/** Errors about the texts of an object that have typographic quotes around them. */
export function typographicTexts(object: Readonly<Record<string, unknown>>): Diagnostic[] {
  const found: Diagnostic[] = [];
  const look = (value: unknown, field: string, depth: number): void => {
    if (found.length >= LIMITS.diagnosticsPerObjectMax || depth > LIMITS.documentDepthMax) return;
    if (typeof value === 'string') {
      const straight = corrected(value);
      if (straight === undefined) return;
      found.push(invalid(field, value, `the quotes are typographic; write ${straight}`));
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, one] of Object.entries(value)) {
        look(one, Array.isArray(value) ? `${field}[${key}]` : `${field}.${key}`, depth + 1);
      }
    }
  };
  for (const field of ['apiVersion', 'kind', 'spec']) look(object[field], field, 0);
  return found;
}
