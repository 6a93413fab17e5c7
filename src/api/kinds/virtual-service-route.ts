import { httpMatch, stringMatch } from '#api/kinds/virtual-service-match.ts';
import {
  choice,
  decimal,
  flag,
  integer,
  list,
  map,
  object,
  text,
  type ValueOf,
} from '#api/schema.ts';

const UINT32 = { minimum: 0, maximum: 4_294_967_295 } as const;
const INT32 = { format: 'int32' } as const;

const percentage = object('Share of the requests.', {
  value: decimal('Per cent, 0 to 100.', { format: 'double' }),
});

const destination = object(
  'A service, a part of it and a port.',
  {
    host: text('Name of the service; short names are taken in the namespace of the object.'),
    subset: text('Subset that a DestinationRule defines.'),
    port: object('Port of the service, where it has several.', {
      number: integer('Port number.', UINT32),
    }),
  },
  { required: ['host'] },
);

const headerOperations = object('What is done to headers.', {
  set: map('Headers that get this value only.', text('The value.')),
  add: map('Values that are added.', text('The value.')),
  remove: list('Headers that are removed.', text('Name of a header.')),
});

const headers = object('Changes of headers.', {
  request: headerOperations,
  response: headerOperations,
});

const routeDestination = object(
  'A destination with its share.',
  { destination, weight: integer('Share among the destinations.', INT32), headers },
  { required: ['destination'] },
);

const redirect = object('Answer with a redirect.', {
  uri: text('New path, or `%PREFIX()%` with what replaces the matched prefix.'),
  prefixRewrite: text('What replaces the matched prefix.'),
  authority: text('New host.'),
  port: integer('New port.', UINT32),
  derivePort: choice('How the new port is found.', ['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']),
  scheme: text('New scheme.'),
  redirectCode: integer('Status of the answer; 301 when left out.', UINT32),
});

const directResponse = object(
  'Answer without asking anybody.',
  {
    status: integer('HTTP status.', UINT32),
    body: object('Body of the answer.', {
      string: text('As text.'),
      bytes: text('As bytes, base64.', { format: 'binary' }),
    }),
  },
  { required: ['status'] },
);

const rewrite = object('Changes of the request line.', {
  uri: text('New path; replaces the matched prefix where `uri` is matched by prefix.'),
  authority: text('New host.'),
  uriRegexRewrite: object('New path by a regular expression.', {
    match: text('The expression (RE2).'),
    rewrite: text('What replaces it; \\1 … are its groups.'),
  }),
});

const retries = object('What is tried again.', {
  attempts: integer('Attempts beside the first; 0 = none.', INT32),
  perTryTimeout: text('Time for each attempt.'),
  retryOn: text('Conditions, as Envoy names them, or statuses.'),
  retryRemoteLocalities: flag('Try other localities too.', { nullable: true }),
  retryIgnorePreviousHosts: flag('Try other endpoints than before.', { nullable: true }),
  backoff: text('Time before the first attempt.'),
});

const fault = object('Faults made on purpose.', {
  delay: object('A delay before the request goes on.', {
    percent: integer('Per cent; replaced by `percentage`.', INT32),
    fixedDelay: text('How long.'),
    exponentialDelay: text('Never built.'),
    percentage,
  }),
  abort: object('An answer instead of the service’s.', {
    httpStatus: integer('HTTP status.', INT32),
    grpcStatus: text('gRPC status.'),
    http2Error: text('Never built.'),
    percentage,
  }),
});

const corsPolicy = object('What pages of other origins may do.', {
  allowOrigin: list('Origins; replaced by `allowOrigins`.', text('An origin.')),
  allowOrigins: list('Origins that may ask.', stringMatch),
  allowMethods: list('Methods that may be used.', text('A method.')),
  allowHeaders: list('Headers that may be sent.', text('A header.')),
  exposeHeaders: list('Headers that may be read.', text('A header.')),
  maxAge: text('How long the answer holds.'),
  allowCredentials: flag('Whether credentials may be sent.', { nullable: true }),
  unmatchedPreflights: choice('What becomes of preflights from other origins.', [
    'UNSPECIFIED',
    'FORWARD',
    'IGNORE',
  ]),
});

/** `spec.http[]`. */
export const httpRoute = object('What becomes of requests that match.', {
  name: text('Name of the route, for logs.'),
  match: list('Conditions, of which one must hold; none = every request.', httpMatch),
  route: list('Destinations, by weight.', routeDestination),
  redirect,
  directResponse,
  delegate: object('A VirtualService that goes on.', {
    name: text('Its name.'),
    namespace: text('Its namespace; the own one when left out.'),
  }),
  rewrite,
  timeout: text('Time for the whole request; none when left out.'),
  retries,
  fault,
  mirror: destination,
  mirrors: list(
    'Destinations that get a copy of the request.',
    object('A copy.', { destination, percentage }, { required: ['destination'] }),
  ),
  mirrorPercent: integer('Per cent; replaced by `mirrorPercentage`.', {
    ...UINT32,
    nullable: true,
  }),
  mirror_percent: integer('Per cent; replaced by `mirrorPercentage`.', {
    ...UINT32,
    nullable: true,
  }),
  mirrorPercentage: percentage,
  corsPolicy,
  headers,
});

/** A destination of TLS and TCP routes. */
export const plainDestination = object(
  'A destination with its share.',
  { destination, weight: integer('Share among the destinations.', INT32) },
  { required: ['destination'] },
);

/** `spec.http[]`. */
export interface HttpRoute extends ValueOf<typeof httpRoute> {}
/** A service, a part of it and a port. */
export interface Destination extends ValueOf<typeof destination> {}
/** Changes of headers. */
export interface HeaderChanges extends ValueOf<typeof headers> {}
