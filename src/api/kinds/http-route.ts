import { ageColumn, fieldColumn } from '#api/columns.ts';
import { defineKind, GATEWAY_API } from '#api/kind.ts';
import { PORT, parentReference } from '#api/kinds/gateway-api.ts';
import { checkHttpRouteKind } from '#api/kinds/http-route-rules.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject, choice, integer, list, object, text, type ValueOf } from '#api/schema.ts';

const valueMatch = object(
  'A name and what its value must be.',
  {
    type: choice('`Exact` when left out.', ['Exact', 'RegularExpression']),
    name: text('The name.', { minLength: 1, maxLength: 256 }),
    value: text('The value, or a regular expression (RE2).', { minLength: 1, maxLength: 4096 }),
  },
  { required: ['name', 'value'] },
);

const match = object('A condition: all of its parts must hold.', {
  path: object('The path; `/` and all below when left out.', {
    type: choice('`PathPrefix` when left out.', ['Exact', 'PathPrefix', 'RegularExpression']),
    value: text('The path.', { maxLength: 1024 }),
  }),
  headers: list('Headers.', valueMatch, { maxItems: 16 }),
  queryParams: list('Parameters of the query.', valueMatch, { maxItems: 16 }),
  method: text('The method.'),
});

const namedValue = object(
  'A header.',
  { name: text('Its name.', { minLength: 1 }), value: text('Its value.', { maxLength: 4096 }) },
  { required: ['name', 'value'] },
);

const headerChanges = object('Changes of headers.', {
  set: list('Headers that get this value only.', namedValue),
  add: list('Values that are added.', namedValue),
  remove: list('Headers that are removed.', text('Name of a header.')),
});

const pathChange = object(
  'The new path.',
  {
    type: choice('What is replaced.', ['ReplaceFullPath', 'ReplacePrefixMatch']),
    replaceFullPath: text('The whole path.'),
    replacePrefixMatch: text('What replaces the matched prefix.'),
  },
  { required: ['type'] },
);

const backend = object(
  'A service with its share.',
  {
    group: text('Group of the object; the core group when it is empty.'),
    kind: text('`Service` when left out.'),
    namespace: text('Must be its own namespace: nothing is led into another one.'),
    name: text('Its name.', { minLength: 1, maxLength: 253 }),
    port: integer('Port of the service.', PORT),
    weight: integer('Share among the backends; 1 when left out.', { minimum: 0, maximum: 1e6 }),
    filters: list('Not supported.', anyObject('A filter.')),
  },
  { required: ['name'] },
);

const filter = object(
  'What is done to requests.',
  {
    type: choice('Which of them.', [
      'RequestHeaderModifier',
      'ResponseHeaderModifier',
      'RequestMirror',
      'RequestRedirect',
      'URLRewrite',
      'ExtensionRef',
      'CORS',
    ]),
    requestHeaderModifier: headerChanges,
    responseHeaderModifier: headerChanges,
    requestMirror: anyObject('Not supported.'),
    requestRedirect: object('Answer with a redirect.', {
      scheme: text('New scheme.'),
      hostname: text('New host.'),
      path: pathChange,
      port: integer('New port.', PORT),
      statusCode: integer('Status of the answer; 302 when left out.'),
    }),
    urlRewrite: object('Changes of the request line.', {
      hostname: text('New host.'),
      path: pathChange,
    }),
    extensionRef: anyObject('Not supported.'),
    cors: anyObject('Not supported.'),
  },
  { required: ['type'] },
);

const rule = object('What becomes of requests that match.', {
  name: text('Name of the rule.'),
  matches: list('Conditions, of which one must hold.', match, { maxItems: 64 }),
  filters: list('What is done to them.', filter, { maxItems: 16 }),
  backendRefs: list('Services that get them, by weight.', backend, { maxItems: 16 }),
  timeouts: object('How long things may take.', {
    request: text('The whole request.'),
    backendRequest: text('One attempt.'),
  }),
  retry: anyObject('Not used.'),
  sessionPersistence: anyObject('Not used.'),
});

const spec = object('How requests of hosts are led.', {
  parentRefs: list('Gateways that the route belongs to.', parentReference, { maxItems: 32 }),
  hostnames: list(
    'Hosts; those of the listeners when there are none.',
    text('A host.', { minLength: 1, maxLength: 253 }),
    { maxItems: 16 },
  ),
  rules: list('What becomes of requests.', rule, { maxItems: 16 }),
});

/** `spec.rules[]`. */
export interface HttpRouteRule extends ValueOf<typeof rule> {}

/** `spec.rules[].matches[]`. */
export interface HttpRouteMatch extends ValueOf<typeof match> {}

/** HTTPRoute of the Gateway API. */
export interface HttpRouteObject extends ApiObject {
  readonly spec?: ValueOf<typeof spec>;
}

/** HTTPRoute. */
export const httpRouteKind = defineKind<HttpRouteObject>({
  group: GATEWAY_API,
  versions: ['v1', 'v1beta1'],
  kind: 'HTTPRoute',
  plural: 'httproutes',
  shortNames: [],
  categories: ['gateway-api'],
  namespaced: true,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'Leads requests that come through Gateways to services.',
  fields: {
    spec,
    status: object('State of the route.', {
      parents: list('For each Gateway.', anyObject('A Gateway.')),
    }),
  },
  requiredFields: ['spec'],
  columns: [fieldColumn('Hostnames', '.spec.hostnames', 'Its hosts.'), ageColumn],
  check: checkHttpRouteKind,
});
