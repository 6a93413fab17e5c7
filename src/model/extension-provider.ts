import type { ExtensionProviderConfig } from '#api/extension-provider.ts';
import { parseDurationMs } from '#base/duration.ts';

/** How much of a body a provider gets. */
export interface BodyInCheck {
  readonly bytesMax: number;
  readonly partial: boolean;
  readonly binary: boolean;
}

/** Names of headers, compared without case: exact, `prefix*`, `*suffix` or `*`. */
export type HeaderPatterns = readonly string[];

/** How a provider is asked over HTTP. */
export interface HttpCheck {
  readonly over: 'http';
  readonly pathPrefix: string;
  /** Headers of the request that the provider gets beside host, method, path and Authorization. */
  readonly asks: HeaderPatterns;
  /** Headers that are added to the question, sorted by name. */
  readonly adds: readonly (readonly [name: string, value: string])[];
  /** Headers of the answer that reach the application. */
  readonly toApplication: HeaderPatterns;
  /** Headers of the answer that reach a caller who is allowed. */
  readonly toAllowed: HeaderPatterns;
  /** Headers of the answer that reach a caller who is denied. */
  readonly toDenied: HeaderPatterns;
}

/**
 * Something that policies of action CUSTOM can ask (Istio's MeshConfig.ExtensionProvider, external
 * authorization). Plain JSON values: part of the mesh's settings.
 */
export interface ExtensionProvider {
  /** What policies call it. */
  readonly name: string;
  /** Host of its service. */
  readonly host: string;
  /** Namespace of its service; undefined = whichever of that host the asking workload sees. */
  readonly namespace: string | undefined;
  readonly port: number;
  readonly timeoutMs: number;
  /** Whether requests pass when it cannot be asked. */
  readonly failOpen: boolean;
  /** Status of the answer when it cannot be asked; undefined = Envoy's own, 403. */
  readonly statusOnError: number | undefined;
  readonly body: BodyInCheck | undefined;
  /** Whether a route is looked for again after it changed headers. */
  readonly clearsRouteCache: boolean;
  readonly check: HttpCheck | { readonly over: 'grpc' };
}

/** As in Istio. */
const TIMEOUT_MS = 600_000;

/** Providers of other kinds (tracing and the like) are left out: no policy can ask them. */
export function extensionProviders(
  configs: readonly ExtensionProviderConfig[],
): readonly ExtensionProvider[] {
  return configs.flatMap((config): ExtensionProvider[] => {
    const { name, envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = config;
    if (grpc) return [{ name, ...commonOf(grpc), check: { over: 'grpc' } }];
    if (http) return [{ name, ...commonOf(http), check: httpCheck(http) }];
    return [];
  });
}

function commonOf(
  config: NonNullable<ExtensionProviderConfig['envoyExtAuthzGrpc']>,
): Omit<ExtensionProvider, 'name' | 'check'> {
  const { service, timeout, statusOnError, includeRequestBodyInCheck: body } = config;
  const slash = service.indexOf('/');
  return {
    host: service.slice(slash + 1).toLowerCase(),
    namespace: slash < 0 ? undefined : service.slice(0, slash),
    port: config.port,
    timeoutMs: (timeout === undefined ? undefined : parseDurationMs(timeout)) ?? TIMEOUT_MS,
    failOpen: config.failOpen ?? false,
    statusOnError: statusOnError === undefined ? undefined : Number(statusOnError),
    body: body && {
      bytesMax: body.maxRequestBytes ?? 0,
      partial: body.allowPartialMessage ?? false,
      binary: body.packAsBytes ?? false,
    },
    clearsRouteCache: config.clearRouteCache ?? false,
  };
}

function httpCheck(config: NonNullable<ExtensionProviderConfig['envoyExtAuthzHttp']>): HttpCheck {
  const { includeRequestHeadersInCheck: asked = [], includeHeadersInCheck: older = [] } = config;
  const added = Object.entries(config.includeAdditionalHeadersInCheck ?? {});
  return {
    over: 'http',
    pathPrefix: config.pathPrefix ?? '',
    asks: asked.length > 0 ? asked : older,
    adds: added.sort(([a], [b]) => (a < b ? -1 : 1)),
    toApplication: config.headersToUpstreamOnAllow ?? [],
    toAllowed: config.headersToDownstreamOnAllow ?? [],
    toDenied: config.headersToDownstreamOnDeny ?? [],
  };
}
