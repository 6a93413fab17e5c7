import {
  Composer,
  Lexer,
  LineCounter,
  type ParseOptions,
  Parser,
  type SchemaOptions,
  type Tags,
  type Document as YamlDocument,
} from 'yaml';
import { LIMITS } from '#base/limits.ts';

/** Something wrong in a text, at an offset in characters. */
export interface TextProblem {
  readonly offset: number;
  readonly message: string;
  readonly remedy?: string;
}

/** A text as its parser left it; what is wrong with a document is kept in `document.errors`. */
export interface YamlText {
  readonly documents: readonly YamlDocument.Parsed[];
  readonly lines: LineCounter;
  /** Why the rest of the text was not read. */
  readonly problem?: TextProblem;
}

/** Tags that have no JSON value, or one that surprises: dates, `12:30` as a number, sets. */
const LEFT_OUT = /:(binary|merge|omap|pairs|set|timestamp)$/;

function jsonTags(tags: Tags): Tags {
  return tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      !(LEFT_OUT.test(tag.tag) || ('format' in tag && tag.format === 'TIME')),
  );
}

/**
 * As kubectl reads YAML: the words of YAML 1.1, in which an unquoted `on` or `y` is a boolean and
 * `0644` is octal. Keys are compared later, in linear time; messages come without the lines they
 * are about, which may be secret.
 */
const OPTIONS: ParseOptions & SchemaOptions = {
  schema: 'yaml-1.1',
  customTags: jsonTags,
  resolveKnownTags: false,
  uniqueKeys: false,
  prettyErrors: false,
};

/** Tokens that are open beside those of nested values: the stream's and the document's. */
const OUTER_TOKENS = 2;

/**
 * Reads a text of YAML or JSON documents. The parser's own nesting is bounded before anything that
 * recurses sees it.
 */
export function parseYamlText(text: string): YamlText {
  const lines = new LineCounter();
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const composer = new Composer({ ...OPTIONS, lineCounter: lines });
  const documents: YamlDocument.Parsed[] = [];
  const stopped = (message: string): YamlText => ({
    documents,
    lines,
    problem: { offset: parser.offset, message },
  });
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      for (const document of composer.next(token)) documents.push(document);
      if (documents.length > LIMITS.documentsMax) {
        return stopped(`more than ${LIMITS.documentsMax} documents`);
      }
    }
    if (parser.stack.length > LIMITS.documentDepthMax + OUTER_TOKENS) {
      return stopped(`nested deeper than ${LIMITS.documentDepthMax} levels`);
    }
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end());
  return { documents, lines };
}
