import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDocuments } from '#api/documents.ts';
import { caseNames } from '../case-names.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { isKnownKind, isOutOfScope, verdictOf } from '../verdict.ts';

/** Texts that the README of the data says not to compare. */
const OTHER_WORDS = /null|unknown field|should be at least 1 chars long|jwks parse/i;

/** Documents → taken, or refused with a text. */
export const suite: ConformanceSuite = {
  name: 'crds',
  run: async (directory) => {
    const folder = join(directory, 'crds');
    const files = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
    return files.sort().flatMap((file) => results(file, readFileSync(join(folder, file), 'utf8')));
  },
};

function results(file: string, text: string): CaseResult[] {
  const { documents, diagnostics } = readDocuments(text, { source: file });
  const unique = caseNames();
  const read = documents.map(({ value }): CaseResult => {
    const { _err: refusal, ...object } = value;
    const metadata = object.metadata as { readonly name?: string } | undefined;
    const name = unique(`${file} ${object.kind} ${metadata?.name ?? ''}`.trim());
    if (isOutOfScope(object.kind)) {
      return { case: name, outcome: 'skipped', detail: `${object.kind} is out of scope` };
    }
    const detail = isKnownKind(object.kind)
      ? difference(object, refusal as string | undefined)
      : `not built: the kind ${object.kind}`;
    if (detail === undefined) return { case: name, outcome: 'passed' };
    return { case: name, outcome: 'failed', detail };
  });
  const unread = diagnostics.map(({ line, message }): CaseResult => {
    const name = unique(`${file} line ${line}`);
    return { case: name, outcome: 'failed', detail: `cannot be read: ${message}` };
  });
  return [...read, ...unread];
}

function difference(object: unknown, refusal: string | undefined): string | undefined {
  const { valid, text } = verdictOf(object);
  if (refusal === undefined) return valid ? undefined : `refused: ${text}`;
  if (valid) return `taken, want: ${refusal}`;
  if (OTHER_WORDS.test(refusal) || text.includes(refusal)) return undefined;
  return `refused with other words: ${text}; want: ${refusal}`;
}
