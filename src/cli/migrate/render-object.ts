import { isDeepStrictEqual } from 'node:util';
import {
  Document,
  isMap,
  isPair,
  isScalar,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { readDocuments } from '#api/documents.ts';
import type { ApiObject } from '#api/object.ts';
import { assert } from '#base/assert.ts';

/** The words of YAML 1.1, as kubectl reads it: an unquoted `on` is no text. */
const WRITING = { schema: 'yaml-1.1', aliasDuplicateObjects: false } as const;
const READING = { schema: 'yaml-1.1', uniqueKeys: false } as const;

/** Fields of a Policy, with the kind that takes their meaning over: comments go where they go. */
const GOES_TO: Readonly<Record<string, string>> = {
  targets: 'PeerAuthentication',
  peers: 'PeerAuthentication',
  peerIsOptional: 'PeerAuthentication',
  origins: 'RequestAuthentication',
  principalBinding: 'RequestAuthentication',
  originIsOptional: 'AuthorizationPolicy',
};

/** The comments of an older document. */
interface Comments {
  /** Above it and beside what says its kind. */
  readonly top: readonly string[];
  /** Inside `spec`, by the field of `spec` that they are in; '' = beside `spec` itself. */
  readonly inSpec: ReadonlyMap<string, readonly string[]>;
  readonly metadata: Pair | undefined;
}

/**
 * Writes new objects in place of older documents. Comments stay: those above the first document
 * above the first object, those of its metadata where they are, all others above `spec` of the
 * object that takes their meaning over.
 * @param bodies YAML text of the older documents, the one in whose place the objects come first
 */
export function renderObjects(objects: readonly ApiObject[], bodies: readonly string[]): string {
  const [first, ...others] = bodies.map(commentsOf);
  const texts = objects.map((object, index) => {
    const document = new Document(object, WRITING);
    const contents = document.contents as unknown as YAMLMap;
    const isFirst = index === 0;
    const top = isFirst ? [...(first?.top ?? []), ...others.flatMap(({ top }) => top)] : [];
    if (top.length > 0) contents.commentBefore = top.join('\n');
    const beside = [first, ...others].flatMap((one) =>
      one ? specComments(one, object, objects) : [],
    );
    const spec = pairOf(contents, 'spec');
    if (beside.length > 0 && isScalar(spec?.key)) spec.key.commentBefore = beside.join('\n');
    if (isFirst && first?.metadata) keepMetadata(contents, first.metadata, object);
    return document.toString({ lineWidth: 0 });
  });
  const text = texts.join('---\n');
  checkMeaning(text, objects);
  return text;
}

/** What was written must be read as what was meant, by kubectl too. */
function checkMeaning(text: string, objects: readonly ApiObject[]): void {
  const { documents } = readDocuments(text, { source: '' });
  const meanings = (list: readonly object[]) =>
    list.map((one) => {
      const { kind, metadata, spec } = one as ApiObject & { readonly spec?: unknown };
      return { kind, name: metadata.name, annotations: metadata.annotations, spec };
    });
  const read = meanings(documents.map(({ value }) => value));
  assert(isDeepStrictEqual(read, meanings(objects)), 'a written object is read as another one');
}

/** The comments inside of `spec` that go to one of the objects. */
function specComments(
  { inSpec }: Comments,
  object: ApiObject,
  objects: readonly ApiObject[],
): readonly string[] {
  return [...inSpec].flatMap(([field, comments]) => {
    const wanted = objects.find(({ kind }) => kind === GOES_TO[field]) ?? objects[0];
    return wanted === object ? comments : [];
  });
}

function commentsOf(body: string): Comments {
  const document = parseDocument(body, READING);
  const { contents } = document;
  if (!isMap(contents)) return { top: [], inSpec: new Map(), metadata: undefined };
  const top = [document.commentBefore, contents.commentBefore].flatMap(linesOf);
  const inSpec = new Map<string, readonly string[]>();
  // What an alias stands for may be in a part that goes: such metadata is written anew.
  const metadata = containsAlias(document) ? undefined : pairOf(contents, 'metadata');
  for (const pair of contents.items) {
    const name = isScalar(pair.key) ? pair.key.value : undefined;
    if (name === 'spec') addSpecComments(pair, inSpec);
    else if (pair !== metadata) top.push(...commentsIn(pair.key), ...commentsIn(pair.value));
  }
  const end = [contents.comment, document.comment].flatMap(linesOf);
  inSpec.set('', [...(inSpec.get('') ?? []), ...end]);
  return { top, inSpec, metadata };
}

/** What stands above the first field is about that field. */
function addSpecComments({ key, value }: Pair, inSpec: Map<string, readonly string[]>): void {
  inSpec.set('', commentsIn(key));
  if (!isMap(value)) return;
  let before = linesOf(value.commentBefore);
  for (const pair of value.items) {
    const field = isScalar(pair.key) ? String(pair.key.value) : '';
    const found = [...before, ...commentsIn(pair.key), ...commentsIn(pair.value)];
    inSpec.set(field, [...(inSpec.get(field) ?? []), ...found]);
    before = [];
  }
  inSpec.set('', [...(inSpec.get('') ?? []), ...before, ...linesOf(value.comment)]);
}

function containsAlias(document: Document.Parsed): boolean {
  let found = false;
  visit(document, {
    Alias: () => {
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

/** Every comment in a part of a document, in its order. */
function commentsIn(part: unknown): readonly string[] {
  const found: string[] = [];
  if (part === null || part === undefined) return found;
  visit(part as Node, {
    Node: (_, { commentBefore, comment }) => {
      found.push(...linesOf(commentBefore), ...linesOf(comment));
    },
  });
  return found;
}

function linesOf(comment: string | null | undefined): readonly string[] {
  return comment ? comment.split('\n') : [];
}

function pairOf({ items }: { readonly items: readonly unknown[] }, name: string): Pair | undefined {
  return items.filter(isPair).find(({ key }) => isScalar(key) && key.value === name);
}

/** Fields of metadata that a server wrote about the older object. */
const OF_SERVER = [
  'creationTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'selfLink',
  'uid',
] as const;

/** Puts the metadata of the older document in place, with the names of the new object. */
function keepMetadata(contents: YAMLMap, kept: Pair, { metadata }: ApiObject): void {
  const { value } = kept;
  const position = contents.items.findIndex(({ key }) => isScalar(key) && key.value === 'metadata');
  if (!isMap(value) || position < 0) return;
  value.set('name', metadata.name);
  if (metadata.namespace !== undefined) value.set('namespace', metadata.namespace);
  for (const gone of OF_SERVER) value.delete(gone);
  keepAnnotations(value, metadata.annotations ?? {});
  contents.items[position] = kept;
}

/** Those of the new object, with the comments that the older one has beside them. */
function keepAnnotations(metadata: YAMLMap, wanted: Readonly<Record<string, string>>): void {
  const field = 'annotations';
  const present = metadata.get(field);
  const keys = isMap(present) ? present.items.map(({ key }) => String(key)) : [];
  for (const key of keys) if (!Object.hasOwn(wanted, key)) metadata.deleteIn([field, key]);
  const added = Object.entries(wanted).filter(([key]) => !keys.includes(key));
  if (added.length > 0 && !isMap(present)) metadata.set(field, new Document({}).contents);
  for (const [key, value] of added) metadata.setIn([field, key], value);
  if (Object.keys(wanted).length === 0) metadata.delete(field);
}
