import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type LocatedDiagnostic, readDocuments, type SourceDocument } from '#api/documents.ts';
import { namespace } from '#api/kinds/namespace.ts';
import type { ApiObject } from '#api/object.ts';
import { validateObject } from '#api/validate.ts';
import { BulwarkError } from '#base/errors.ts';

/** What the files of a command line hold. */
export interface ObjectsRead {
  /** Valid objects, namespaces first, otherwise as they were written. */
  readonly objects: readonly ApiObject[];
  readonly diagnostics: readonly LocatedDiagnostic[];
  /** Where each object is written. */
  readonly written: ReadonlyMap<ApiObject, SourceDocument>;
}

const ENDING = /\.(ya?ml|json)$/;

/**
 * Reads and validates the objects of files, of the YAML and JSON files of folders, and of standard
 * input (`-`).
 * @throws BulwarkError FILES_UNREADABLE; what is wrong inside the files is in the diagnostics
 */
export async function readObjects(
  names: readonly string[],
  stdin: AsyncIterable<Buffer | string>,
): Promise<ObjectsRead> {
  const files = await filesOf(names);
  const diagnostics: LocatedDiagnostic[] = [];
  const written = new Map<ApiObject, SourceDocument>();
  for (const file of files) {
    const text = file === '-' ? await readAll(stdin) : await readText(file);
    const reading = readDocuments(text, { source: file === '-' ? 'standard input' : file });
    diagnostics.push(...reading.diagnostics);
    for (const document of reading.documents) {
      const validation = validateObject(document.value);
      diagnostics.push(...validation.diagnostics.map((one) => document.locate(one)));
      if (validation.object) written.set(validation.object, document);
    }
  }
  const isNamespace = (object: ApiObject): boolean => object.kind === namespace.kind;
  const objects = [...written.keys()];
  const first = objects.filter(isNamespace);
  const sorted = [...first, ...objects.filter((one) => !isNamespace(one))];
  return { objects: sorted, diagnostics, written };
}

/**
 * The files of a command line: folders stand for the YAML and JSON files in them.
 * @throws BulwarkError FILES_UNREADABLE
 */
export async function objectFiles(names: readonly string[]): Promise<readonly string[]> {
  return (await Promise.all(names.map(expand))).flat();
}

/** `FILE:LINE:COLUMN: severity: field: message (remedy)`, as compilers write it. */
export function formatDiagnostic(diagnostic: LocatedDiagnostic): string {
  const { source, line, column, severity, field, message, remedy } = diagnostic;
  const where = field === '' ? '' : `${field}: `;
  return `${source}:${line}:${column}: ${severity}: ${where}${message}${remedy ? ` (${remedy})` : ''}`;
}

/**
 * The files that names stand for: folders by the YAML and JSON files in them.
 * @throws BulwarkError FILES_UNREADABLE
 */
export async function filesOf(names: readonly string[]): Promise<readonly string[]> {
  return (await Promise.all(names.map(expand))).flat();
}

async function expand(name: string): Promise<readonly string[]> {
  if (name === '-') return [name];
  const found = await stat(name).catch((cause: unknown) => {
    throw new BulwarkError('FILES_UNREADABLE', `cannot read ${name}`, { cause });
  });
  if (!found.isDirectory()) return [name];
  const entries = (await readdir(name)).filter((entry) => ENDING.test(entry)).sort();
  if (entries.length === 0)
    throw new BulwarkError('FILES_UNREADABLE', `${name} holds no YAML or JSON file`);
  return entries.map((entry) => join(name, entry));
}

function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new BulwarkError('FILES_UNREADABLE', `cannot read ${file}`, { cause });
  });
}

async function readAll(input: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
