import type { Cell, Column, KindDefinition } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';

/** What goes into a row beside its cells. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly kind: KindDefinition;
  readonly include: IncludeObject;
  /** Version of meta.k8s.io. */
  readonly version: 'v1' | 'v1beta1';
  /** Milliseconds since 1970, for ages. */
  readonly now: number;
  /** Makes an object as the client asked for it (in its version). */
  readonly present: (object: ApiObject) => ApiObject;
}

const NAME_COLUMN = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Unique in the namespace (or among all objects of a cluster-scoped kind).',
  priority: 0,
};

/** The columns of a kind as a Table describes them (meta/v1 TableColumnDefinition). */
function columnDefinitions(kind: KindDefinition): readonly object[] {
  const columns = kind.columns.map(({ name, type, description, priority, value: _ }) => ({
    name,
    type: columnType(type, kind),
    format: '',
    description,
    priority,
  }));
  return [NAME_COLUMN, ...columns];
}

/**
 * Built-in kinds say "string" for ages, custom ones "date"; the cell is the age in words for both.
 * An instant is a date everywhere.
 */
function columnType(type: Column['type'], { custom }: KindDefinition): string {
  if (type === 'instant') return 'date';
  return type === 'date' && !custom ? 'string' : type;
}

/** One row: what `kubectl get` prints, and the object as far as it was asked for. */
export function tableRow(object: ApiObject, options: TableOptions): object {
  const { kind, include, version, now, present } = options;
  const cells: Cell[] = [
    object.metadata.name,
    ...kind.columns.map((column) => column.value(object, now)),
  ];
  if (include === 'None') return { cells, object: null };
  if (include === 'Object') return { cells, object: present(object) };
  return { cells, object: partialObject(object, version) };
}

/** Only the metadata of an object (meta/v1 PartialObjectMetadata). */
export function partialObject(object: ApiObject, version: 'v1' | 'v1beta1'): object {
  const { metadata } = object;
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata };
}

/** A Table (kubernetes.io, "Receiving resources as Tables"). */
export function table(
  rows: readonly object[],
  options: Pick<TableOptions, 'kind' | 'version'> & {
    readonly metadata: object;
    /** Watches describe the columns in their first event only. */
    readonly columns?: boolean;
  },
): object {
  const { kind, version, metadata, columns = true } = options;
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: columns ? columnDefinitions(kind) : null,
    rows,
  };
}
