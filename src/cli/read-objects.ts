import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type LocatedDiagnostic, readDocuments, type SourceDocument } from '#api/documents.ts';
import { namespace } from '#api/kinds/namespace.ts';
import type { ApiObject } from '#api/object.ts';
import { validateObject } from '#api/validate.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { writeFileAtomic } from '#base/files.ts';
import { LIMITS } from '#base/limits.ts';

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
    const text = file === '-' ? await textOf(stdin, 'standard input') : await readText(file);
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

/**
 * A file that users write.
 * @throws BulwarkError FILES_UNREADABLE, also when it is too large or not UTF-8: nobody would know
 *   what the bytes stand for, nor write them back
 */
export async function readText(file: string): Promise<string> {
  try {
    return await textOf(createReadStream(file), file);
  } catch (cause) {
    if (isBulwarkError(cause)) throw cause;
    throw new BulwarkError('FILES_UNREADABLE', `cannot read ${file}`, { cause });
  }
}

/** Writes such a file anew: with the permissions that it has, and behind a link where it is one. */
export async function writeText(file: string, text: string): Promise<void> {
  const { mode } = await stat(file);
  await writeFileAtomic(await realpath(file), text, mode & 0o777);
}

async function textOf(input: AsyncIterable<Buffer | string>, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk);
    chunks.push(bytes);
    size += bytes.length;
    if (size > LIMITS.documentBytesMax) {
      const most = `${LIMITS.documentBytesMax} bytes`;
      throw new BulwarkError('FILES_UNREADABLE', `${name} is larger than ${most}`, {
        remedy: 'divide it',
      });
    }
  }
  const bytes = Buffer.concat(chunks);
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new BulwarkError('FILES_UNREADABLE', `${name} is not UTF-8`, {
    remedy: 'save it as UTF-8',
  });
}
