/** Every fixed bound, once: what is over it is refused with an error that names the bound. */
export const LIMITS = {
  /** Bytes of one API request body (Kubernetes' own bound is 3 MiB; etcd's 1.5 MiB an object). */
  apiBodyBytesMax: 3 * 1024 * 1024,
  /** Nesting depth of a YAML or JSON document. */
  documentDepthMax: 100,
  /** Bytes of one YAML or JSON file. */
  documentBytesMax: 16 * 1024 * 1024,
  /** Alias expansions in one YAML document (against "billion laughs"). */
  documentAliasesMax: 100,
  /** Bytes of a certificate signing request, PEM. */
  csrBytesMax: 16 * 1024,
  /** Bytes of a bearer token. */
  tokenBytesMax: 16 * 1024,
  /** Bytes of one gRPC message that we take (Istio: 4 MiB). */
  grpcMessageBytesMax: 4 * 1024 * 1024,
  /** Concurrent gRPC streams on one connection. */
  grpcStreamsPerConnectionMax: 256,
  /** Pending connections on a listening socket. */
  listenBacklog: 4096,
  /** Events kept for watchers that resume, for each kind of store. */
  watchHistoryMax: 10_000,
  /** Bytes that a slow watcher may have unsent before its watch is closed. */
  watchUnsentBytesMax: 8 * 1024 * 1024,
  /** Bytes of a secret file (keys, tokens). */
  secretFileBytesMax: 256 * 1024,
} as const;
