import { parseDocument } from 'yaml';
import type { ApiObject } from '#api/object.ts';
import { BulwarkError } from '#base/errors.ts';
import type { MeshRead, ObjectName } from '#cli/mesh/read-mesh.ts';
import { bodyAt, type PlacedObject, rewriteText } from '#cli/migrate/rewrite-text.ts';
import { readText } from '#cli/read-objects.ts';
import type { Migration } from '#policy/migrate/migrate.ts';

/** A file with new objects in place of older ones. */
export interface MigratedFile {
  readonly file: string;
  readonly text: string;
  /** The new documents alone. */
  readonly documents: readonly string[];
}

type Place = NonNullable<ReturnType<MeshRead['placeOf']>>;

/**
 * The files of older objects as they are to be. Nothing is written.
 * @throws BulwarkError API_INVALID for an object that is not a document of its own
 */
export async function migratedFiles(
  { replaced, made }: Migration,
  mesh: MeshRead,
): Promise<readonly MigratedFile[]> {
  const texts = new Map<string, string>();
  const located = replaced.map((object) => ({ object, place: mustPlace(mesh, object) }));
  for (const { place } of located) {
    texts.set(place.file, texts.get(place.file) ?? (await readText(place.file)));
  }
  const bodyOf = (object: ApiObject): string => {
    const place = mustPlace(mesh, object);
    const { kind, metadata } = object;
    const wanted = { kind, name: metadata.name, line: place.line };
    return bodyAt(texts.get(place.file) ?? '', wanted) ?? '';
  };
  const hasOwn = new Set(made.map(({ from }) => from[0]));
  const placed = located.map(({ object, place }) => {
    const own = made.filter(({ from }) => from[0] === object);
    const others = new Set(own.flatMap(({ from }) => from.filter((one) => !hasOwn.has(one))));
    const placedObject: PlacedObject = {
      kind: object.kind,
      name: object.metadata.name,
      line: place.line,
      made: own.map((one) => asWritten(one.object, bodyOf(object))),
      merged: [...others].map(bodyOf),
    };
    return { file: place.file, placedObject };
  });
  return [...texts].map(([file, text]) => {
    if (file.endsWith('.json')) throw notRewritten(file, 'it is JSON');
    const here = placed.filter((one) => one.file === file).map((one) => one.placedObject);
    const { misplaced, ...rewritten } = rewriteText(text, here);
    const [first] = misplaced;
    if (first !== undefined) throw notRewritten(file, `${first.kind} ${first.name} is in a list`);
    return { file, ...rewritten };
  });
}

function notRewritten(file: string, why: string): BulwarkError {
  const remedy = 'write each object as a YAML document of its own';
  return new BulwarkError('API_INVALID', `${file} cannot be rewritten: ${why}; ${remedy}`);
}

/** An object as `placeOf` takes it. */
export function nameOf({ kind, metadata }: ApiObject): ObjectName {
  return { kind, namespace: metadata.namespace ?? '', name: metadata.name };
}

function mustPlace(mesh: MeshRead, object: ApiObject): Place {
  const place = mesh.placeOf(nameOf(object), '');
  if (place !== undefined) return place;
  throw new BulwarkError('CLI_USAGE', `${object.kind} ${object.metadata.name} is in no file`);
}

/** Without the namespace where the older document has none: that of the user counts. */
function asWritten(object: ApiObject, body: string): ApiObject {
  const old = parseDocument(body, { uniqueKeys: false });
  const isOfMesh = old.get('kind') === 'MeshPolicy';
  if (isOfMesh || old.getIn(['metadata', 'namespace']) !== undefined) return object;
  const { namespace: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
