import type { Verb } from '#apiserver/request-info.ts';
import { groupVersion, type ServedResource } from '#apiserver/served-resources.ts';

/** The method of each verb, and what the operation is called. */
const OPERATIONS = {
  get: { method: 'get', action: 'get', prefix: 'read' },
  list: { method: 'get', action: 'list', prefix: 'list' },
  create: { method: 'post', action: 'post', prefix: 'create' },
  update: { method: 'put', action: 'put', prefix: 'replace' },
  patch: { method: 'patch', action: 'patch', prefix: 'patch' },
  delete: { method: 'delete', action: 'delete', prefix: 'delete' },
  deletecollection: { method: 'delete', action: 'deletecollection', prefix: 'deleteCollection' },
} as const;

type Operation = keyof typeof OPERATIONS;

const ONE: readonly Operation[] = ['get', 'update', 'patch', 'delete'];
const MANY: readonly Operation[] = ['list', 'create', 'deletecollection'];

const DRY_RUN = parameter('dryRun', '`All`: nothing is stored, the answer is what it would be.');
const FIELD_MANAGER = parameter('fieldManager', 'Who makes the change.');
/** kubectl looks for this one before it lets the server validate. */
const FIELD_VALIDATION = parameter(
  'fieldValidation',
  'What becomes of unknown and repeated fields: `Ignore`, `Warn` (default) or `Strict`.',
);

function parameter(name: string, description: string, type: 'string' | 'integer' = 'string') {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } };
}

function pathParameter(name: string, description: string): object {
  return { name, in: 'path', description, required: true, schema: { type: 'string' } };
}

const PARAMETERS: Readonly<Record<Operation, readonly object[]>> = {
  get: [],
  list: [
    parameter('labelSelector', 'Only objects whose labels fit.'),
    parameter('fieldSelector', 'Only objects whose fields fit.'),
    parameter('limit', 'Objects of one page.', 'integer'),
    parameter('continue', 'The token of the page before.'),
    parameter('resourceVersion', 'The version that the answer must not be older than.'),
    parameter('resourceVersionMatch', '`Exact` or `NotOlderThan`.'),
    parameter('watch', '`true`: changes as they happen instead of a list.'),
    parameter('allowWatchBookmarks', '`true`: a watch also tells how far it is.'),
    parameter('sendInitialEvents', '`true`: a watch begins with what is there.'),
    parameter('timeoutSeconds', 'How long a watch lasts.', 'integer'),
  ],
  create: [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
  update: [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
  patch: [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
  delete: [DRY_RUN, parameter('propagationPolicy', 'What becomes of dependent objects.')],
  deletecollection: [
    DRY_RUN,
    parameter('labelSelector', 'Only objects whose labels fit.'),
    parameter('fieldSelector', 'Only objects whose fields fit.'),
  ],
};

/** The path items of a resource in an OpenAPI v3 document. */
export function openApiPaths(resource: ServedResource, schema: string): Record<string, object> {
  const { group, version, name, namespaced, subresources } = resource;
  const root = `/${group === '' ? 'api' : 'apis'}/${groupVersion(group, version)}`;
  const collection = namespaced ? `${root}/namespaces/{namespace}/${name}` : `${root}/${name}`;
  const place = namespaced
    ? [pathParameter('namespace', 'The namespace that holds the objects.')]
    : [];
  const named = [...place, pathParameter('name', 'Name of the object.')];
  const item = (operations: readonly Operation[], verbs: readonly Verb[], parameters: object[]) => {
    const served = operations.filter((operation) => verbs.includes(operation));
    const entries = served.map((operation) => [
      OPERATIONS[operation].method,
      operationOf(resource, operation, schema),
    ]);
    return { ...Object.fromEntries(entries), ...(parameters.length > 0 ? { parameters } : {}) };
  };
  const paths: Record<string, object> = {
    [collection]: item(MANY, resource.verbs, place),
  };
  if (resource.verbs.includes('get'))
    paths[`${collection}/{name}`] = item(ONE, resource.verbs, named);
  if (namespaced && resource.verbs.includes('list')) {
    paths[`${root}/${name}`] = item(['list'], resource.verbs, []);
  }
  for (const part of subresources.filter(({ verbs }) => verbs.includes('get'))) {
    paths[`${collection}/{name}/${part.name}`] = item(ONE, part.verbs, named);
  }
  return paths;
}

function operationOf(resource: ServedResource, operation: Operation, schema: string): object {
  const { group, version, kind, definition } = resource;
  const { action, prefix } = OPERATIONS[operation];
  const answer =
    operation === 'list' || operation === 'deletecollection' ? `${schema}List` : schema;
  const body = requestBody(operation, schema, definition?.custom ?? false);
  return {
    description: `${prefix} ${kind}`,
    operationId: `${prefix}${groupVersion(group, version).replaceAll(/[^a-zA-Z0-9]/g, '')}${kind}`,
    parameters: PARAMETERS[operation],
    ...(body && definition ? { requestBody: body } : {}),
    responses: {
      '200': {
        description: 'OK',
        content: { 'application/json': { schema: definition ? reference(answer) : {} } },
      },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
  };
}

function reference(schema: string): object {
  return { $ref: `#/components/schemas/${schema}` };
}

function requestBody(operation: Operation, schema: string, custom: boolean): object | undefined {
  if (operation === 'create' || operation === 'update') {
    return { required: true, content: { 'application/json': { schema: reference(schema) } } };
  }
  if (operation !== 'patch') return undefined;
  // kubectl makes strategic merge patches where this list has them.
  const types = ['application/json-patch+json', 'application/merge-patch+json'];
  if (!custom) types.push('application/strategic-merge-patch+json');
  const content = Object.fromEntries(types.map((type) => [type, { schema: { type: 'object' } }]));
  return { required: true, content };
}
