import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDocuments } from '#api/documents.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { isKnownKind, isOutOfScope, verdictOf } from '../verdict.ts';

/** Annotation by which a test asks that an object be refused. */
const ALWAYS_REJECT = 'internal.istio.io/webhook-always-reject';

type Fields = { readonly [key: string]: unknown };

/** One object of each kind of a release → taken or refused. */
export const suite: ConformanceSuite = {
  name: 'datasets',
  run: async (directory) => {
    const folder = join(directory, 'datasets');
    return readdirSync(folder).flatMap((release) =>
      readdirSync(join(folder, release))
        .sort()
        .map((file) => {
          const text = readFileSync(join(folder, release, file), 'utf8');
          return result(`${release}/${file}`, text);
        }),
    );
  },
};

function result(name: string, text: string): CaseResult {
  const { documents, diagnostics } = readDocuments(text, { source: name });
  const objects = documents.map(({ value }): Fields => value);
  const outside = objects.find(({ kind }) => isOutOfScope(kind));
  if (outside !== undefined) {
    return { case: name, outcome: 'skipped', detail: `${outside.kind} is out of scope` };
  }
  const unknown = objects.find(({ kind }) => !isKnownKind(kind));
  const detail =
    unknown === undefined
      ? (diagnostics[0]?.message ?? difference(name, objects))
      : `not built: the kind ${unknown.kind}`;
  if (detail === undefined) return { case: name, outcome: 'passed' };
  return { case: name, outcome: 'failed', detail };
}

function difference(name: string, objects: readonly Fields[]): string | undefined {
  if (objects.length === 0) return 'no object';
  const refused = problems(objects);
  if (/-invalid\.ya?ml$/.test(name)) return refused === '' ? 'taken, want: refused' : undefined;
  if (refused !== '') return `refused: ${refused}`;
  if (/-valid\.ya?ml$/.test(name)) return undefined;
  const rejected = problems(objects.map(asking));
  return rejected === '' ? 'taken although its annotation asks for a refusal' : undefined;
}

function problems(objects: readonly Fields[]): string {
  return objects
    .map((object) => verdictOf(object))
    .filter(({ valid }) => !valid)
    .map(({ text }) => text)
    .join('; ');
}

/** The object with the annotation. */
function asking(object: Fields): Fields {
  const metadata = object.metadata as Fields;
  const annotations = { ...(metadata.annotations as Fields), [ALWAYS_REJECT]: 'true' };
  return { ...object, metadata: { ...metadata, annotations } };
}
