import { checkDuration } from '#api/duration.ts';
import { duplicate, invalid, required, violates } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { flag, integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

const bodyInCheck = object('How much of the body the provider gets; nothing when left out.', {
  maxRequestBytes: integer('Bytes that are kept for it; a longer body is answered 413.', {
    minimum: 1,
    maximum: 4_294_967_295,
  }),
  allowPartialMessage: flag('Whether of a longer body the first bytes are enough.'),
  packAsBytes: flag('Whether the body may be other than UTF-8 (gRPC).'),
});

const headers = (description: string) =>
  list(description, text('A name, `prefix*` or `*suffix`.', { minLength: 1 }));

/** What both protocols have in common. */
const common = {
  service: text('Host of a service of the mesh, or `<namespace>/<host>`.', { minLength: 1 }),
  port: integer('Port of the service.', { minimum: 1, maximum: 65_535 }),
  timeout: text('Time to wait for an answer; 600s when left out.'),
  failOpen: flag('Whether requests pass when the provider cannot be asked.'),
  statusOnError: text('Status of the answer when it cannot be asked: `403` when left out.'),
  includeRequestBodyInCheck: bodyInCheck,
  clearRouteCache: flag('Whether a route is looked for again after the provider changed headers.'),
};

const extAuthzHttp = object(
  'Asks over HTTP: status 200 allows.',
  {
    ...common,
    pathPrefix: text('What stands before the path of the request in the question.'),
    includeRequestHeadersInCheck: headers('Headers that the provider gets.'),
    includeHeadersInCheck: headers('Older name of includeRequestHeadersInCheck.'),
    includeAdditionalHeadersInCheck: map(
      'Headers that are added to the question.',
      text('A value.'),
    ),
    headersToUpstreamOnAllow: headers('Headers of its answer that the application gets.'),
    headersToDownstreamOnAllow: headers('Headers of its answer that an allowed caller gets.'),
    headersToDownstreamOnDeny: headers('Headers of its answer that a denied caller gets.'),
  },
  { required: ['service', 'port'] },
);

const extAuthzGrpc = object('Asks over gRPC: envoy.service.auth.v3.Authorization.', common, {
  required: ['service', 'port'],
});

/** Istio's MeshConfig.ExtensionProvider, as far as it can be asked about requests. */
export const extensionProvider = object(
  'Something outside of the proxies that policies can name.',
  {
    name: text('What policies call it.', { minLength: 1 }),
    envoyExtAuthzHttp: extAuthzHttp,
    envoyExtAuthzGrpc: extAuthzGrpc,
  },
  { required: ['name'] },
);

/** One entry of `extensionProviders`. */
export interface ExtensionProviderConfig extends ValueOf<typeof extensionProvider> {}

/** The statuses that Envoy can answer with (envoy.type.v3.StatusCode), first and last of a run. */
const STATUS_RUNS = [
  [200, 208],
  [226, 226],
  [300, 305],
  [307, 308],
  [400, 417],
  [421, 424],
  [426, 426],
  [428, 429],
  [431, 431],
  [500, 508],
  [510, 511],
] as const;

/** A name, or one `*` at one end of it. */
const HEADER_PATTERN = /^(\*?[^*]*|[^*]*\*)$/;

/** Reports what is wrong with providers beyond their schema. */
export function checkExtensionProviders(
  providers: readonly ExtensionProviderConfig[],
  field: string,
  report: Report,
): void {
  const names = new Set<string>();
  for (const [index, provider] of providers.entries()) {
    const at = `${field}[${index}]`;
    if (names.has(provider.name)) report(duplicate(`${at}.name`, provider.name));
    names.add(provider.name);
    const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider;
    if (http && grpc) {
      report(violates(`${at}.envoyExtAuthzGrpc`, 'a provider is asked over HTTP or over gRPC'));
    }
    if (http) checkHttp(http, `${at}.envoyExtAuthzHttp`, report);
    if (grpc) checkCommon(grpc, `${at}.envoyExtAuthzGrpc`, report);
  }
}

function checkHttp(http: ValueOf<typeof extAuthzHttp>, field: string, report: Report): void {
  checkCommon(http, field, report);
  const { pathPrefix = '' } = http;
  if (pathPrefix !== '' && !pathPrefix.startsWith('/'))
    report(invalid(`${field}.pathPrefix`, pathPrefix, 'must begin with /'));
  for (const name of [
    'includeRequestHeadersInCheck',
    'includeHeadersInCheck',
    'headersToUpstreamOnAllow',
    'headersToDownstreamOnAllow',
    'headersToDownstreamOnDeny',
  ] as const) {
    for (const [index, header] of (http[name] ?? []).entries()) {
      if (HEADER_PATTERN.test(header)) continue;
      report(invalid(`${field}.${name}[${index}]`, header, 'has one `*` at most, at one end'));
    }
  }
}

function checkCommon(common: ValueOf<typeof extAuthzGrpc>, field: string, report: Report): void {
  checkDuration(common.timeout, `${field}.timeout`, report);
  const { statusOnError, includeRequestBodyInCheck: body } = common;
  if (statusOnError !== undefined && !isStatus(statusOnError))
    report(invalid(`${field}.statusOnError`, statusOnError, 'must be an HTTP status such as 403'));
  if (body && body.maxRequestBytes === undefined)
    report(required(`${field}.includeRequestBodyInCheck.maxRequestBytes`));
}

function isStatus(text: string): boolean {
  const status = /^\d{3}$/.test(text) ? Number(text) : Number.NaN;
  return STATUS_RUNS.some(([first, last]) => status >= first && status <= last);
}
