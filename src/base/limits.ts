/** Every fixed bound, once: what is over it is refused with an error that names the bound. */
export const LIMITS = {
  /** Bytes of one API request body (Kubernetes' own bound is 3 MiB; etcd's 1.5 MiB an object). */
  apiBodyBytesMax: 3 * 1024 * 1024,
  /** Members of lists and objects that one JSON patch copies on its way. */
  patchMembersMax: 500_000,
  /** Items of lists that a strategic merge patch compares with each other. */
  patchListItemsMax: 1000,
  /** Bytes of the headers of one API request (they carry tokens). */
  apiHeaderBytesMax: 64 * 1024,
  /** Connections of the API server; watches hold one each. */
  apiConnectionsMax: 16_384,
  /** Nesting depth of a YAML or JSON document. */
  documentDepthMax: 100,
  /** Bytes of one YAML or JSON file. */
  documentBytesMax: 16 * 1024 * 1024,
  /** Alias expansions in one YAML document (against "billion laughs"). */
  documentAliasesMax: 100,
  /** Values that all alias expansions of one YAML document may add up to. */
  documentAliasValuesMax: 100_000,
  /** Documents in one YAML or JSON text, items of lists counted. */
  documentsMax: 50_000,
  /** Errors and warnings that are told about one object; the rest is counted. */
  diagnosticsPerObjectMax: 100,
  /** Objects whose status is written before a pause, one that grows with how long that took. */
  statusWritesPerRoundMax: 200,
  /** Roots that a mesh trusts at one time. */
  trustedRootsMax: 64,
  /** Bytes of a certificate signing request, PEM. */
  csrBytesMax: 16 * 1024,
  /** Certificates that wait for the issuance journal; more are refused. */
  journalWaitingMax: 10_000,
  /**
   * Milliseconds after a start for which a rotation waits for agents that have a certificate and
   * did not come back: one that lost its server tries again within ten seconds.
   */
  agentsAwaitedMs: 15_000,
  /** Records of the issuance journal that one question is answered with, the latest ones. */
  journalListMax: 10_000,
  /** Identities whose use of the certificate authority is counted at one time. */
  issuanceIdentitiesMax: 100_000,
  /** Refused requests for certificates that are logged each second; the others are counted. */
  refusalLogsPerSecondMax: 20,
  /** Bytes of a bearer token. */
  tokenBytesMax: 16 * 1024,
  /** Service account tokens whose signature is not verified again while they are good. */
  verifiedTokensMax: 4096,
  /** Lifetime of a service account token when none is asked for, in seconds. */
  tokenSecondsDefault: 3600,
  /** The shortest lifetime of a service account token that may be asked for, in seconds. */
  tokenSecondsMin: 600,
  /** The longest lifetime of a service account token, in seconds. */
  tokenSecondsMax: 24 * 3600,
  /** Characters of one audience of a token of a workload. */
  audienceLengthMax: 1024,
  /** Bytes of the trust bundle of one trust domain. */
  bundleBytesMax: 1024 * 1024,
  /** Keys and roots in the trust bundle of one trust domain. */
  bundleKeysMax: 200,
  /** Trust domains that a mesh is federated with. */
  trustBundlesMax: 100,
  /** Audiences of one token. */
  tokenAudiencesMax: 50,
  /** Bytes of one gRPC message that we take (Istio: 4 MiB). */
  grpcMessageBytesMax: 4 * 1024 * 1024,
  /** Concurrent gRPC streams on one connection. */
  grpcStreamsPerConnectionMax: 256,
  /** Bytes of incomplete requests that all calls of one gRPC connection may hold together. */
  grpcHeldBytesPerConnectionMax: 16 * 1024 * 1024,
  /** Connections of one gRPC server. */
  grpcConnectionsMax: 65_536,
  /** Bytes of the request headers of one gRPC call (they carry tokens). */
  grpcHeaderBytesMax: 32 * 1024,
  /** Streams of configuration that one server serves. */
  xdsStreamsMax: 10_000,
  /** Resource names of one type that one stream may subscribe to. */
  xdsNamesPerTypeMax: 20_000,
  /** Characters of a resource name that a stream asks for. */
  xdsNameLengthMax: 1024,
  /** Bytes that a proxy may leave unread before its stream is closed. */
  xdsUnsentBytesMax: 32 * 1024 * 1024,
  /** Bytes of encoded responses that are kept to be sent to further proxies. */
  xdsFrameCacheBytesMax: 32 * 1024 * 1024,
  /** Pending connections on a listening socket. */
  listenBacklog: 4096,
  /** Events kept for watchers that resume, for each kind of store. */
  watchHistoryMax: 10_000,
  /** Characters of the objects in those events, all together. */
  watchHistoryCharactersMax: 32 * 1024 * 1024,
  /** Writes that wait for the store; more are refused. */
  storeWritesWaitingMax: 10_000,
  /** Bytes of the database file; a write that would make it larger fails as on a full disk. */
  storeFileBytesMax: 8 * 1024 * 1024 * 1024,
  /** Writes that share one commit. */
  storeBatchWritesMax: 256,
  /** Bytes that a slow watcher may have unsent before its watch is closed. */
  watchUnsentBytesMax: 8 * 1024 * 1024,
  /** Bytes of a secret file (keys, tokens). */
  secretFileBytesMax: 256 * 1024,
  /** Files for TLS that the configuration of one Envoy may name. */
  agentFileSecretsMax: 100,
  /** Bytes of a file with certificates. */
  certificateFileBytesMax: 4 * 1024 * 1024,
  /** Workloads of one agent. */
  agentWorkloadsMax: 1000,
  /** Connections by which one Envoy holds its ports and their policies: two for each. */
  heldPortConnectionsMax: 4096,
  /** Bytes of what is said on such a connection. */
  heldPortLineBytesMax: 512,
  /** Bytes of one line of Envoy's output; longer ones are dropped and counted. */
  envoyLineBytesMax: 64 * 1024,
  /** Bytes of one answer of Envoy's admin interface. */
  envoyAdminAnswerBytesMax: 32 * 1024 * 1024,
  /** Denied requests that are logged each second for one workload; the others are counted. */
  denialLogsPerSecondMax: 50,
  /** Records of AUDIT policies that an agent writes each second for one workload. */
  auditRecordsPerSecondMax: 1000,
  /** Denied requests that the status of a workload shows, the latest ones. */
  recentDenialsMax: 50,
  /** Policies that the record of a denied request lists. */
  denialPoliciesMax: 20,
  /** Ports of a workload whose connections are counted apart. */
  connectionPortsMax: 50,
  /** Callers without mutual TLS that are known of one port, those seen last. */
  connectionCallersMax: 20,
  /** Lines about callers without mutual TLS that an agent reads each second, for one workload. */
  connectionLinesPerSecondMax: 200,
  /** Streams on which proxies tell of calls, each thread of a proxy two at most. */
  auditStreamsMax: 40_000,
  /** Calls that are recorded each second of one identity; the others are counted. */
  auditCallsPerSecondMax: 1000,
  /** Of those, calls of one caller. */
  auditCallsPerCallerMax: 100,
  /** Records that wait for a sink; more are dropped and counted. */
  auditWaitingMax: 20_000,
  /** Characters of the records that wait for a sink. */
  auditWaitingCharactersMax: 32 * 1024 * 1024,
  /** Records that one question is answered with, the latest ones. */
  auditListMax: 10_000,
  /** Fields that the record of one change lists; the others are counted. */
  auditFieldsPerChangeMax: 100,
  /** Kinds of calls (caller, workload, path) that are counted apart at one time. */
  trafficRowsMax: 20_000,
  /** Lines about calls to one identity that are kept of an hour; the others are counted. */
  trafficRowsPerHourMax: 6000,
  /** Providers of external authorization that an agent tells of, for one workload. */
  reportedProvidersMax: 16,
  /** Bytes of what an agent tells of the connections of a workload. */
  connectionReportBytesMax: 128 * 1024,
  /**
   * Bytes of the path of a unix socket (sockaddr_un: 108 on Linux, 104 on macOS, with the final
   * zero).
   */
  socketPathBytesMax: 103,
  /** Characters of one value in an authorization policy (a SPIFFE id has at most 2048). */
  policyValueLengthMax: 2048,
  /** Providers that one workload asks; each has its filters in every listener. */
  authzProvidersPerWorkloadMax: 2,
  /** Characters of an expression of a Mixer rule or instance. */
  mixerExpressionLengthMax: 4096,
  /** Levels of parentheses, arguments and negations in such an expression. */
  mixerExpressionDepthMax: 32,
  /** Alternatives that such an expression may come to for Envoy. */
  mixerAlternativesMax: 256,
  /** Tests of attributes in all those alternatives together. */
  mixerTestsMax: 4096,
  /**
   * Characters in which a proxy tells its agent what to work out of a request; Envoy takes 16,384.
   */
  mixerProgramCharactersMax: 16_000,
  /** Bytes of a list that a listchecker has fetched. */
  mixerListBytesMax: 1024 * 1024,
  /** Entries of such a list. */
  mixerListEntriesMax: 10_000,
  /** Regular expressions of such a list: Envoy tries one after the other. */
  mixerListPatternsMax: 1000,
  /** Such lists that are kept up to date at one time. */
  mixerListsMax: 200,
  /** From so many exact values of a field on, Envoy gets them as one expression. */
  authzFoldedTextsMin: 32,
  /** Rules, and what they decided, that an agent has counts of its own for. */
  policySeriesMax: 2000,
  /** Rules of a workload up to which its Envoy counts requests by rule; with more it does not. */
  authzCountedRulesMax: 500,
  /** Mappings of ports under which the configuration of one authorization is remembered. */
  authzPortMappingsMax: 10_000,
  /** Bytes of a set of keys (JWKS) and of the document that says where it is. */
  jwksBytesMax: 256 * 1024,
  /** Keys of one set. */
  jwksKeysMax: 200,
  /** Sources of keys that are kept up to date at one time. */
  jwksSourcesMax: 1000,
  /** Redirects that are followed on the way to a set of keys. */
  jwksRedirectsMax: 3,
  /** Certificates and identities that are revoked at one time. */
  revocationsMax: 1000,
  /** Rights (verb, resource and name) of a role that are compared with those of its writer. */
  accessRightsMax: 20_000,
  /** Such comparisons: these rights, each with every rule that the writer has. */
  accessComparisonsMax: 5_000_000,
  /** Certificates that filters refuse because one server below revoked them. */
  siteRevocationsMax: 300,
  /** Questions of servers below that wait for news at one time. */
  siteWaitsMax: 256,
  /** Certificates that one revocation list names. */
  crlCertificatesMax: 3000,
} as const;
