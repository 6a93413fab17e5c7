import type { KindDefinition } from '#api/kind.ts';
import { KINDS } from '#api/kinds.ts';
import type { Schema } from '#api/schema.ts';
import { code, page, table } from './markdown.ts';

/** Fields that every kind has in the same way. */
const COMMON = new Set(['apiVersion', 'kind', 'metadata']);

function typeOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => code(value)).join(' ');
  if (schema['x-kubernetes-int-or-string']) return 'integer or string';
  if (schema.items) return `list of ${schema.items.properties ? 'objects' : typeOf(schema.items)}`;
  if (schema.additionalProperties) return `map to ${typeOf(schema.additionalProperties)}`;
  return schema.type ?? 'any';
}

/** A row for each field below a schema, by path. */
function rowsOf(schema: Schema, path: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (path === '' && COMMON.has(name)) return [];
    const inList = field.items?.properties ? '[]' : '';
    const here = `${path}${path === '' ? '' : '.'}${name}${inList}`;
    const required = schema.required?.includes(name) ? ' (required)' : '';
    const inner = field.items ?? field.additionalProperties ?? field;
    return [[code(here), `${typeOf(field)}${required}`, field.description], ...rowsOf(inner, here)];
  });
}

function section(kind: KindDefinition): string {
  const group = kind.group === '' ? '' : `${kind.group}/`;
  const facts = [
    `Served as ${kind.versions.map((version) => code(`${group}${version}`)).join(', ')}`,
    kind.namespaced ? 'in a namespace' : 'for the whole mesh',
    kind.shortNames.length > 0 ? `short ${kind.shortNames.map(code).join(', ')}` : '',
  ];
  const columns = ['Name', ...kind.columns.map(({ name }) => name)].map((name) =>
    code(name.toUpperCase()),
  );
  return [
    `## ${kind.kind}`,
    kind.description,
    `${facts.filter(Boolean).join(', ')}. \`kubectl get\` shows ${columns.join(' ')}.`,
    table(['field', 'type', 'what it is'], rowsOf(kind.schema, '')).trimEnd(),
  ].join('\n\n');
}

/** docs/reference/kinds.md */
export function kindsPage(): string {
  const introduction =
    'The objects of the API. Every one has `apiVersion`, `kind` and `metadata` besides what is listed.';
  return page('Kinds', '`src/api/kinds/`', [introduction, ...KINDS.map(section)]);
}
