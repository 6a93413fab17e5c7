import { parseDocument } from 'yaml';
import type { ApiObject } from '#api/object.ts';
import { renderObjects } from '#cli/migrate/render-object.ts';
import { chunksOf, type YamlChunk } from '#cli/migrate/yaml-chunks.ts';

/** An older object in a text, and the new ones that come in its place. */
export interface PlacedObject {
  readonly kind: string;
  readonly name: string;
  /** A line of its document. */
  readonly line: number;
  readonly made: readonly ApiObject[];
  /** Documents that go elsewhere in favour of `made`: their comments come along. */
  readonly merged: readonly string[];
}

/** A text with new documents in place of older ones. */
export interface RewrittenText {
  readonly text: string;
  /** The new documents alone. */
  readonly documents: readonly string[];
  /** Objects that stand where nothing can be put in their place, such as in a list. */
  readonly misplaced: readonly PlacedObject[];
}

/** The text of the document that a line is part of; undefined when it is not there alone. */
export function bodyAt(text: string, placed: Pick<PlacedObject, 'kind' | 'name' | 'line'>) {
  const chunk = chunksOf(text).find((one) => holds(one, placed));
  return chunk && isAlone(chunk, placed) ? chunk.body : undefined;
}

/** Puts new documents in place of older ones. Every other document stays as it is, byte by byte. */
export function rewriteText(text: string, objects: readonly PlacedObject[]): RewrittenText {
  const documents: string[] = [];
  const misplaced: PlacedObject[] = [];
  const parts = chunksOf(text).flatMap((chunk, index) => {
    const whole = `${chunk.head}${chunk.body}`;
    const here = objects.filter((one) => holds(chunk, one));
    const [placed] = here;
    if (placed === undefined) return [whole];
    if (!isAlone(chunk, placed)) {
      misplaced.push(...here);
      return [whole];
    }
    if (placed.made.length === 0) return [];
    const rendered = renderObjects(placed.made, [chunk.body, ...placed.merged]);
    documents.push(rendered);
    return [`${chunk.head || (index === 0 ? '' : '---\n')}${rendered}`];
  });
  return { text: parts.join(''), documents, misplaced };
}

function holds({ firstLine, lastLine }: YamlChunk, { line }: { readonly line: number }): boolean {
  return firstLine <= line && line <= lastLine;
}

function isAlone({ body }: YamlChunk, { kind, name }: { kind: string; name: string }): boolean {
  const value: unknown = parseDocument(body, { uniqueKeys: false }).toJS();
  const read = value as {
    readonly kind?: unknown;
    readonly metadata?: { readonly name?: unknown };
  };
  return read?.kind === kind && read.metadata?.name === name;
}
