import { objectMeta } from '#api/kinds/object-meta.ts';
import type { Schema } from '#api/schema.ts';
import { openApiPaths } from '#apiserver/openapi-paths.ts';
import {
  groupVersion,
  SERVED_GROUPS,
  SERVED_RESOURCES,
  type ServedResource,
} from '#apiserver/served-resources.ts';

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/**
 * The name of a kind's schema in a document: `io.k8s.api.core.v1.Service`,
 * `io.istio.security.v1.PeerAuthentication`.
 */
function schemaName({ group, version, kind, definition }: ServedResource): string {
  if (definition?.custom) return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
  const [short = ''] = group === '' ? ['core'] : group.split('.');
  return `io.k8s.api.${short}.${version}.${kind}`;
}

/** `api/v1`, `apis/security.istio.io/v1`: how a document is named in the index. */
function documentPath(group: string, version: string): string {
  return `${group === '' ? 'api' : 'apis'}/${groupVersion(group, version)}`;
}

/** Paths of all documents, as in the index. */
export function openApiDocumentPaths(): readonly string[] {
  return SERVED_GROUPS.flatMap(({ name, versions }) =>
    versions.map((version) => documentPath(name, version)),
  );
}

/** The OpenAPI v3 document of one group and version; undefined when there is none of that path. */
export function openApiDocument(path: string): object | undefined {
  const resources = SERVED_RESOURCES.filter(
    ({ group, version }) => documentPath(group, version) === path,
  );
  if (resources.length === 0) return undefined;
  const schemas = Object.fromEntries(
    resources.flatMap((resource) => schemaEntries(resource)).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: '1.33' },
    paths: Object.assign({}, ...resources.map((one) => openApiPaths(one, schemaName(one)))),
    components: {
      schemas: { ...schemas, [OBJECT_META]: objectMeta },
      securitySchemes: {
        BearerToken: {
          type: 'apiKey',
          description: 'Bearer token authentication.',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

function schemaEntries(resource: ServedResource): [string, object][] {
  const { definition, group, version, kind } = resource;
  if (!definition) return [];
  const name = schemaName(resource);
  const groupVersionKind = (of: string) => [{ group, version, kind: of }];
  const list = {
    description: `A list of objects of kind ${kind}.`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string', description: 'Group and version of the kind.' },
      kind: { type: 'string', description: 'The kind.' },
      metadata: { type: 'object', description: 'Version of the list and where it goes on.' },
      items: {
        type: 'array',
        description: 'The objects.',
        items: { allOf: [{ $ref: `#/components/schemas/${name}` }] },
      },
    },
    'x-kubernetes-group-version-kind': groupVersionKind(definition.listKind),
  };
  const one = {
    ...withSharedMetadata(definition.schema),
    'x-kubernetes-group-version-kind': groupVersionKind(kind),
  };
  return [
    [name, one],
    [`${name}List`, list],
  ];
}

/** Every kind has the same metadata: the document says it once. */
function withSharedMetadata(schema: Schema): object {
  const metadata = {
    description: 'Name, labels and what the server keeps about the object.',
    default: {},
    allOf: [{ $ref: `#/components/schemas/${OBJECT_META}` }],
  };
  return { ...schema, properties: { ...schema.properties, metadata } };
}
