import type { LineCounter, Document as YamlDocument } from 'yaml';
import type { Diagnostic } from '#api/diagnostic.ts';
import type { JsonValue } from '#api/schema.ts';
import {
  applyCorrections,
  correctedLine,
  type QuoteCorrection,
  quoteCorrections,
} from '#api/typographic-quotes.ts';
import { fieldOffset } from '#api/yaml-position.ts';
import { parseYamlText, type TextProblem } from '#api/yaml-text.ts';
import { yamlValue } from '#api/yaml-value.ts';
import { LIMITS } from '#base/limits.ts';

/** A place in a text: the first line and the first column are 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A diagnostic and where in which text it is. */
export interface LocatedDiagnostic extends Diagnostic, Position {
  /** The file, as the user named it. */
  readonly source: string;
}

/** One object of a text. */
export interface SourceDocument {
  readonly source: string;
  /** The object as it was written: not validated. */
  readonly value: { readonly [key: string]: JsonValue };
  /** Where a field is, or the innermost part of its path that is there. */
  positionOf(field: string): Position;
  /** The diagnostic with its place. */
  locate(diagnostic: Diagnostic): LocatedDiagnostic;
}

/** What a text holds: the objects that can be read, and what is wrong with the others. */
export interface DocumentReading {
  readonly documents: readonly SourceDocument[];
  readonly diagnostics: readonly LocatedDiagnostic[];
}

/** Errors of one text that are told. */
const PROBLEMS_MAX = 20;

/** Collects the documents and problems of one text. */
class Collector {
  readonly documents: SourceDocument[] = [];
  readonly diagnostics: LocatedDiagnostic[] = [];
  readonly #source: string;
  readonly #lines: LineCounter;

  constructor(source: string, lines: LineCounter) {
    this.#source = source;
    this.#lines = lines;
  }

  problem({ offset, message, remedy }: TextProblem, field = ''): void {
    if (this.diagnostics.length >= PROBLEMS_MAX) return;
    this.diagnostics.push({
      severity: 'error',
      field,
      message,
      reason: 'DocumentUnreadable',
      ...(remedy === undefined ? {} : { remedy }),
      source: this.#source,
      ...this.#position(offset),
    });
  }

  /** Takes the objects of a document; lists are taken apart. `root` = the path to `value`. */
  take(document: YamlDocument.Parsed, value: JsonValue, root: readonly string[]): void {
    if (value === null && root.length === 0) return;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const offset = fieldOffset(document, root, '');
      this.problem({ offset, message: 'must be an object with apiVersion, kind and metadata' });
      return;
    }
    const object = value as SourceDocument['value'];
    const items = listItems(object);
    if (items !== undefined) {
      for (const [index, item] of items.entries()) {
        this.take(document, item, [...root, 'items', String(index)]);
      }
      return;
    }
    if (this.documents.length >= LIMITS.documentsMax) {
      const offset = fieldOffset(document, root, '');
      this.problem({ offset, message: `more than ${LIMITS.documentsMax} objects` });
      return;
    }
    this.documents.push(this.#document(document, object, root));
  }

  #document(
    document: YamlDocument.Parsed,
    value: SourceDocument['value'],
    root: readonly string[],
  ): SourceDocument {
    const source = this.#source;
    const positionOf = (field: string) => this.#position(fieldOffset(document, root, field));
    return {
      source,
      value,
      positionOf,
      locate: (diagnostic) => ({ ...diagnostic, source, ...positionOf(diagnostic.field) }),
    };
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }
}

/** The items of an object that is a list of objects (`kind: List`, `kind: ServiceList`). */
function listItems(object: SourceDocument['value']): readonly JsonValue[] | undefined {
  const { kind, items } = object;
  if (typeof kind !== 'string' || !kind.endsWith('List')) return undefined;
  if (Array.isArray(items)) return items as readonly JsonValue[];
  return kind === 'List' && (items ?? null) === null ? [] : undefined;
}

/**
 * Reads a text of YAML or JSON documents, as kubectl does: `---` between documents, empty ones
 * skipped, lists taken apart. Refused, each with its place: what does not parse, keys that stand
 * twice, and what is over the limits on bytes, depth, aliases and number. Never throws. A document
 * with an error does not hinder the others.
 */
export function readDocuments(text: string, options: { readonly source: string }): DocumentReading {
  const { source } = options;
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.documentBytesMax) {
    const message = `${bytes} bytes are more than the ${LIMITS.documentBytesMax} of one file`;
    const place = { source, line: 1, column: 1 };
    const reason = 'DocumentUnreadable';
    const tooLarge = { severity: 'error', field: '', message, reason, ...place } as const;
    return { documents: [], diagnostics: [tooLarge] };
  }
  const { documents, lines, problem } = parseYamlText(text);
  const collector = new Collector(source, lines);
  for (const document of documents) {
    // Of several errors in one document the later ones mostly follow from the first.
    const [fault] = [...document.errors, ...document.warnings];
    if (fault !== undefined) {
      collector.problem({ offset: fault.pos[0], message: fault.message });
      continue;
    }
    const quotes = quoteCorrections(document);
    if (quotes.length > 0) {
      for (const problem of quoteProblems(text, document, quotes)) collector.problem(problem);
      continue;
    }
    const read = yamlValue(document);
    if ('problem' in read) collector.problem(read.problem);
    else collector.take(document, read.value, []);
  }
  if (problem !== undefined) collector.problem(problem);
  return { documents: collector.documents, diagnostics: collector.diagnostics };
}

/** One problem for each line with typographic quotes, and the line as it should be. */
function quoteProblems(
  text: string,
  document: YamlDocument.Parsed,
  quotes: readonly QuoteCorrection[],
): readonly TextProblem[] {
  const mayBeSecret = /secret/i.test(String(document.get('kind')));
  const lines = new Map<string, TextProblem>();
  for (const quote of quotes) {
    const line = correctedLine(text, quote, quotes);
    if (lines.has(line)) continue;
    const message = 'the quotes are typographic, and a part of the text for YAML';
    const remedy = `write ${mayBeSecret ? 'straight ones' : line}`;
    lines.set(line, { offset: quote.offset, message: `${message}: ${remedy}` });
  }
  return [...lines.values()];
}

/**
 * A text with straight quotes in place of typographic ones around its words, wherever it can be
 * read as YAML; everything else stays as it is. `count`: words that were changed.
 */
export function correctQuotes(text: string): {
  readonly corrected: string;
  readonly count: number;
} {
  if (Buffer.byteLength(text) > LIMITS.documentBytesMax) return { corrected: text, count: 0 };
  const sound = parseYamlText(text).documents.filter(({ errors }) => errors.length === 0);
  const corrections = sound.flatMap(quoteCorrections);
  return { corrected: applyCorrections(text, corrections), count: corrections.length };
}
