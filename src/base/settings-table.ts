import { CIPHER_SUITES, ECDH_CURVES } from '#base/tls-names.ts';

/**
 * One setting. From this entry come its environment variable, flag, key in a file, default, checks
 * and documentation.
 */
export interface SettingDefinition {
  /**
   * `duration` is in milliseconds once resolved and written like `24h`, `90s`; `port` 0 means any
   * free port.
   */
  readonly type: 'string' | 'path' | 'integer' | 'port' | 'boolean' | 'duration' | 'list';
  /** Environment names, ours first, then Istio's where the meaning is the same. */
  readonly env: readonly string[];
  /** The value in text form; undefined = not set. */
  readonly default: string | undefined;
  /** For integers: the bounds. For durations: in text form. */
  readonly min?: string;
  readonly max?: string;
  /** The accepted texts, when it is a choice; of a list, those of its items. */
  readonly choices?: readonly string[];
  readonly unit?: string;
  readonly doc: string;
  /** Which processes read it. */
  readonly scope: readonly ('server' | 'agent' | 'cli')[];
}

/** Helps TypeScript keep the literal types of the table below. */
function table<const T extends Record<string, SettingDefinition>>(definitions: T): T {
  return definitions;
}

/**
 * Every setting, once. The name in camelCase is the key in a settings file; the flag is the same in
 * kebab-case. docs/reference/settings.md is generated from here.
 */
export const SETTINGS = table({
  logLevel: {
    type: 'string',
    env: ['BULWARK_LOG_LEVEL'],
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'How much is logged, as JSON lines on standard error.',
    scope: ['server', 'agent', 'cli'],
  },
  trustDomain: {
    type: 'string',
    env: ['BULWARK_TRUST_DOMAIN', 'TRUST_DOMAIN'],
    default: 'cluster.local',
    doc: 'The SPIFFE trust domain of the mesh: the authority part of every identity.',
    scope: ['server', 'agent'],
  },
  trustDomainAliases: {
    type: 'list',
    env: ['BULWARK_TRUST_DOMAIN_ALIASES', 'TRUST_DOMAIN_ALIASES'],
    default: '',
    doc: 'Other names of the trust domain, the former or the next one: identities of these count as those of `trustDomain`. The agent takes a certificate of any of them.',
    scope: ['server', 'agent'],
  },
  trustDomainChange: {
    type: 'string',
    env: ['BULWARK_TRUST_DOMAIN_CHANGE'],
    default: 'checked',
    choices: ['checked', 'forced'],
    doc: 'Whether a start under another trust domain, or without one of its aliases, is refused while it would cut workloads off that are known.',
    scope: ['server'],
  },
  clusterDomain: {
    type: 'string',
    env: ['BULWARK_CLUSTER_DOMAIN'],
    default: 'cluster.local',
    doc: 'The DNS domain of services: <service>.<namespace>.svc.<domain>.',
    scope: ['server', 'agent'],
  },
  rootNamespace: {
    type: 'string',
    env: ['BULWARK_ROOT_NAMESPACE'],
    default: 'istio-system',
    doc: 'The namespace whose policies count for the whole mesh.',
    scope: ['server'],
  },
  autoMtls: {
    type: 'boolean',
    env: ['BULWARK_AUTO_MTLS'],
    default: 'true',
    doc: 'Whether proxies use mutual TLS to every endpoint that can, with nothing configured.',
    scope: ['server'],
  },
  outboundTraffic: {
    type: 'string',
    env: ['BULWARK_OUTBOUND_TRAFFIC'],
    default: 'ALLOW_ANY',
    choices: ['ALLOW_ANY', 'REGISTRY_ONLY'],
    doc: 'What becomes of redirected calls to hosts that the mesh does not know.',
    scope: ['server'],
  },
  hardening: {
    type: 'string',
    env: ['BULWARK_HARDENING'],
    default: 'strict',
    choices: ['strict', 'istio'],
    doc: 'Whether known gaps of Istio are closed (strict) or kept exactly, for migration (istio).',
    scope: ['server'],
  },
  accessLog: {
    type: 'string',
    env: ['BULWARK_ACCESS_LOG'],
    default: 'failures',
    choices: ['failures', 'all'],
    doc: 'Which requests proxies write a line about: those denied or failed, or every one.',
    scope: ['server'],
  },
  requireTokenExpiration: {
    type: 'boolean',
    env: ['BULWARK_REQUIRE_TOKEN_EXPIRATION'],
    default: 'false',
    doc: 'Whether tokens of end users without exp are refused by every workload, not only by rules with requireExpiration.',
    scope: ['server'],
  },
  meshTlsMinVersion: {
    type: 'string',
    env: ['BULWARK_MESH_TLS_MIN_VERSION'],
    default: 'TLSV1_2',
    choices: ['TLSV1_2', 'TLSV1_3'],
    doc: 'The oldest version of TLS between proxies (meshMTLS.minProtocolVersion of Istio).',
    scope: ['server'],
  },
  meshTlsCipherSuites: {
    type: 'list',
    env: ['BULWARK_MESH_TLS_CIPHER_SUITES'],
    default:
      'ECDHE-ECDSA-AES256-GCM-SHA384,ECDHE-RSA-AES256-GCM-SHA384,ECDHE-ECDSA-AES128-GCM-SHA256,ECDHE-RSA-AES128-GCM-SHA256',
    choices: CIPHER_SUITES,
    doc: 'Cipher suites of TLS 1.2 between proxies (meshMTLS.cipherSuites of Istio).',
    scope: ['server'],
  },
  meshTlsCurves: {
    type: 'list',
    env: ['BULWARK_MESH_TLS_CURVES'],
    default: '',
    choices: ECDH_CURVES,
    doc: 'Groups for the key exchange between proxies, the preferred first; none = the list of Envoy (meshMTLS.ecdhCurves of Istio).',
    scope: ['server'],
  },
  outsideTlsCipherSuites: {
    type: 'list',
    env: ['BULWARK_OUTSIDE_TLS_CIPHER_SUITES'],
    default: '',
    choices: CIPHER_SUITES,
    doc: 'Cipher suites of TLS 1.2 that proxies open to servers outside of the mesh; none = the list of Envoy (tlsDefaults.cipherSuites of Istio).',
    scope: ['server'],
  },
  outsideTlsCurves: {
    type: 'list',
    env: ['BULWARK_OUTSIDE_TLS_CURVES'],
    default: '',
    choices: ECDH_CURVES,
    doc: 'Groups for the key exchange with servers outside of the mesh; none = the list of Envoy (tlsDefaults.ecdhCurves of Istio).',
    scope: ['server'],
  },
  data: {
    type: 'path',
    env: ['BULWARK_DATA'],
    default: undefined,
    doc: 'The folder for the store, keys and kubeconfig. `bulwark server` needs it; `npm start` chooses and prints one.',
    scope: ['server'],
  },
  bindAddress: {
    type: 'string',
    env: ['BULWARK_BIND_ADDRESS'],
    default: '127.0.0.1',
    doc: 'The IP address that the server listens on. Anything but loopback is open to the network.',
    scope: ['server'],
  },
  apiPort: {
    type: 'port',
    env: ['BULWARK_API_PORT'],
    default: '0',
    doc: 'The port of the Kubernetes-style API (HTTPS). 0 = a free one, kept over restarts of the same data folder.',
    scope: ['server'],
  },
  securePort: {
    type: 'port',
    env: ['BULWARK_SECURE_PORT'],
    default: '15012',
    doc: 'The port of xDS and the certificate service (gRPC over TLS). 0 = a free one, kept over restarts.',
    scope: ['server'],
  },
  jwksRefreshInterval: {
    type: 'duration',
    env: ['BULWARK_JWKS_REFRESH_INTERVAL', 'PILOT_JWT_PUB_KEY_REFRESH_INTERVAL'],
    default: '5m',
    min: '1s',
    max: '24h',
    doc: 'How old the keys of an issuer of tokens become before they are fetched again. An issuer must show a new key at least so long before it signs with it.',
    scope: ['server'],
  },
  jwksBlockedAddresses: {
    type: 'list',
    env: ['BULWARK_JWKS_BLOCKED_ADDRESSES', 'BLOCKED_CIDRS_IN_JWKS_URIS'],
    default: '',
    doc: 'Addresses (CIDR) that keys of issuers and trust bundles are never fetched from, beside this host, its links and metadata services of clouds.',
    scope: ['server'],
  },
  jwksAllowedAddresses: {
    type: 'list',
    env: ['BULWARK_JWKS_ALLOWED_ADDRESSES'],
    default: '',
    doc: 'Addresses (CIDR) that keys of issuers and trust bundles may be fetched from though they are blocked by default: 127.0.0.0/8 where the issuer runs on this host.',
    scope: ['server'],
  },
  jwksRoots: {
    type: 'list',
    env: ['BULWARK_JWKS_ROOTS'],
    default: '',
    doc: 'Files of roots (PEM) that servers of keys are verified with: PATH for every server, beside the usual roots; HOST=PATH for one server, instead of them.',
    scope: ['server'],
  },
  monitoringPort: {
    type: 'port',
    env: ['BULWARK_MONITORING_PORT'],
    default: '15014',
    doc: 'The port of health and metrics (HTTP, loopback only). 0 = a free one, kept over restarts.',
    scope: ['server'],
  },
  workloadCertTtl: {
    type: 'duration',
    env: ['BULWARK_WORKLOAD_CERT_TTL', 'DEFAULT_WORKLOAD_CERT_TTL'],
    default: '24h',
    min: '5s',
    max: '2160h',
    doc: 'The lifetime of a workload certificate when the request names none.',
    scope: ['server'],
  },
  workloadCertTtlMax: {
    type: 'duration',
    env: ['BULWARK_WORKLOAD_CERT_TTL_MAX', 'MAX_WORKLOAD_CERT_TTL'],
    default: '2160h',
    min: '5s',
    max: '87600h',
    doc: 'The longest lifetime that may be asked for; a longer one is refused.',
    scope: ['server'],
  },
  rootCertTtl: {
    type: 'duration',
    env: ['BULWARK_ROOT_CERT_TTL', 'CITADEL_SELF_SIGNED_CA_CERT_TTL'],
    default: '87600h',
    min: '1h',
    max: '262800h',
    doc: 'The lifetime of the self-signed root certificate.',
    scope: ['server'],
  },
  rootRotation: {
    type: 'string',
    env: ['BULWARK_ROOT_ROTATION'],
    default: 'automatic',
    choices: ['automatic', 'manual'],
    doc: 'Whether a root that Bulwark made is replaced by itself once 80 % of its life are over, each step with the same proof as by hand.',
    scope: ['server'],
  },
  serviceAccountSecrets: {
    type: 'boolean',
    env: ['BULWARK_SERVICE_ACCOUNT_SECRETS', 'ENABLE_NAMESPACES_BY_DEFAULT'],
    default: 'false',
    doc: 'Whether service accounts get a Secret with key and certificate in namespaces whose labels (ca.istio.io/override, ca.istio.io/env) say nothing. Weaker than keys that agents hold.',
    scope: ['server'],
  },
  caNamespace: {
    type: 'string',
    env: ['BULWARK_CA_NAMESPACE'],
    default: 'istio-system',
    doc: 'The namespace of the certificate authority, which the label ca.istio.io/env of other namespaces names. Made when it is missing.',
    scope: ['server'],
  },
  caCertificates: {
    type: 'path',
    env: ['BULWARK_CA_CERTIFICATES', 'ROOT_CA_DIR'],
    default: undefined,
    doc: 'A folder with an authority made elsewhere, as Istio lays it out: ca-cert.pem, ca-key.pem, cert-chain.pem, root-cert.pem and perhaps ca-crl.pem. It signs in place of a root of our own, and is read anew when it changes.',
    scope: ['server'],
  },
  revocationLists: {
    type: 'string',
    env: ['BULWARK_REVOCATION_LISTS'],
    default: 'automatic',
    choices: ['automatic', 'on', 'off'],
    doc: 'Whether peers check revocation lists in handshakes while something is revoked. They then refuse certificates of authorities that this server has no list for: automatic is off where it knows of others below its root (intermediateAuthorities, upstreamCa).',
    scope: ['server'],
  },
  upstreamCa: {
    type: 'string',
    env: ['BULWARK_UPSTREAM_CA'],
    default: undefined,
    doc: 'HOST:PORT of another Bulwark whose authority signs that of this server, in place of a root of its own.',
    scope: ['server'],
  },
  upstreamCaServerName: {
    type: 'string',
    env: ['BULWARK_UPSTREAM_CA_SERVER_NAME'],
    default: 'istiod.istio-system.svc',
    doc: 'The DNS name that the certificate of the upstream server must carry.',
    scope: ['server'],
  },
  upstreamCaRoot: {
    type: 'path',
    env: ['BULWARK_UPSTREAM_CA_ROOT'],
    default: undefined,
    doc: 'PEM file with the root certificate that the upstream server is verified against. Needed at the first start, later the roots that it names count too.',
    scope: ['server'],
  },
  upstreamTokenFile: {
    type: 'path',
    env: ['BULWARK_UPSTREAM_TOKEN_FILE'],
    default: undefined,
    doc: 'A file with the token that proves this server to the upstream one; read again for each call.',
    scope: ['server'],
  },
  upstreamCertificates: {
    type: 'path',
    env: ['BULWARK_UPSTREAM_CERTIFICATES'],
    default: undefined,
    doc: 'In place of a token: a folder with key.pem and cert-chain.pem, as an agent of the upstream mesh keeps it with outputCerts.',
    scope: ['server'],
  },
  intermediateAuthorities: {
    type: 'list',
    env: ['BULWARK_INTERMEDIATE_AUTHORITIES'],
    default: '',
    doc: 'Service accounts, NAMESPACE/NAME, of servers that get an authority below this one. Whoever has one can be everybody in the mesh.',
    scope: ['server'],
  },
  intermediateCertTtl: {
    type: 'duration',
    env: ['BULWARK_INTERMEDIATE_CERT_TTL'],
    default: '168h',
    min: '10s',
    max: '8760h',
    doc: 'The lifetime of the certificates of authorities below this one; renewed at half of it.',
    scope: ['server'],
  },
  tokenAudiences: {
    type: 'list',
    env: ['BULWARK_TOKEN_AUDIENCES', 'TOKEN_AUDIENCES'],
    default: 'istio-ca',
    doc: 'The audiences, one of which a token must have to get a certificate. The agent asks for the first.',
    scope: ['server', 'agent'],
  },
  jwtPolicy: {
    type: 'string',
    env: ['BULWARK_JWT_POLICY', 'JWT_POLICY'],
    default: 'third-party-jwt',
    choices: ['third-party-jwt', 'first-party-jwt'],
    doc: 'Which tokens prove a workload: those with an audience of tokenAudiences only, or also those for the API server itself, as old clusters mount them. The agent shows a mounted token of that kind only with the same policy.',
    scope: ['server', 'agent'],
  },
  trustedNodeAccounts: {
    type: 'list',
    env: ['BULWARK_TRUSTED_NODE_ACCOUNTS', 'CA_TRUSTED_NODE_ACCOUNTS'],
    default: '',
    doc: 'Service accounts, NAMESPACE/NAME, of node agents that may ask for the workloads on their own node, as the API server knows them.',
    scope: ['server'],
  },
  oidcRules: {
    type: 'path',
    env: ['BULWARK_OIDC_RULES'],
    default: undefined,
    doc: 'A YAML file with rules for tokens of OIDC issuers: whose tokens prove which workload.',
    scope: ['server'],
  },
  certificatesPerMinute: {
    type: 'integer',
    env: ['BULWARK_CERTIFICATES_PER_MINUTE'],
    default: '6000',
    min: '0',
    max: '1000000',
    unit: 'certificates',
    doc: 'How many certificates one identity gets in a minute, all its workloads together; as many at once after a rest. 0 = no limit.',
    scope: ['server'],
  },
  bundleEndpointPort: {
    type: 'port',
    env: ['BULWARK_BUNDLE_ENDPOINT_PORT'],
    default: undefined,
    doc: 'The port of the bundle endpoint (HTTPS), where other trust domains fetch what vouches for this one. 0 = any free one. Without it there is no endpoint.',
    scope: ['server'],
  },
  bundleEndpointCertificate: {
    type: 'path',
    env: ['BULWARK_BUNDLE_ENDPOINT_CERTIFICATE'],
    default: undefined,
    doc: 'PEM chain for the bundle endpoint by the profile https_web, read anew when it changes. Without it the endpoint has a certificate of the mesh (https_spiffe).',
    scope: ['server'],
  },
  bundleEndpointKey: {
    type: 'path',
    env: ['BULWARK_BUNDLE_ENDPOINT_KEY'],
    default: undefined,
    doc: 'The private key of that certificate, PEM.',
    scope: ['server'],
  },
  bundleRefreshHint: {
    type: 'duration',
    env: ['BULWARK_BUNDLE_REFRESH_HINT'],
    default: '5m',
    min: '1s',
    max: '1h',
    doc: 'How often other trust domains are asked to fetch our bundle. A new root has to be known there before it signs: wait so long between the steps of a rotation.',
    scope: ['server'],
  },
  jwtSvidTtl: {
    type: 'duration',
    env: ['BULWARK_JWT_SVID_TTL'],
    default: '5m',
    min: '30s',
    max: '1h',
    doc: 'The lifetime of the tokens (JWT-SVID) that workloads get.',
    scope: ['server'],
  },
  jwtIssuer: {
    type: 'string',
    env: ['BULWARK_JWT_ISSUER'],
    default: undefined,
    doc: 'The issuer (iss) in tokens of workloads: the public https URL at which OIDC clients find the discovery document. Without it tokens have none, and no such document is served.',
    scope: ['server'],
  },
  discoveryAddress: {
    type: 'string',
    env: ['BULWARK_DISCOVERY_ADDRESS', 'CA_ADDR'],
    default: '127.0.0.1:15012',
    doc: 'Where the agent and its Envoys find the server: HOST:PORT of xDS and the certificate service.',
    scope: ['agent'],
  },
  discoveryServerName: {
    type: 'string',
    env: ['BULWARK_DISCOVERY_SERVER_NAME', 'ISTIOD_SAN'],
    default: 'istiod.istio-system.svc',
    doc: 'The DNS name that the certificate of the server must carry.',
    scope: ['agent'],
  },
  caRoot: {
    type: 'path',
    env: ['BULWARK_CA_ROOT', 'CA_ROOT_CA'],
    default: undefined,
    doc: 'PEM file with the root certificate that the server is verified against.',
    scope: ['agent'],
  },
  kubeconfig: {
    type: 'path',
    env: ['KUBECONFIG'],
    default: undefined,
    doc: 'The kubeconfig to reach the API server with.',
    scope: ['agent', 'cli'],
  },
  envoyPath: {
    type: 'path',
    env: ['BULWARK_ENVOY'],
    default: undefined,
    doc: 'The Envoy executable; else `envoy` on PATH, else the one that the set-up fetched.',
    scope: ['agent'],
  },
  envoyConcurrency: {
    type: 'integer',
    env: ['BULWARK_ENVOY_CONCURRENCY'],
    default: '2',
    min: '1',
    max: '256',
    unit: 'threads',
    doc: 'Worker threads of each Envoy.',
    scope: ['agent'],
  },
  secretTtl: {
    type: 'duration',
    env: ['BULWARK_SECRET_TTL', 'SECRET_TTL'],
    default: '24h',
    min: '5s',
    max: '2160h',
    doc: 'The certificate lifetime that the agent asks for.',
    scope: ['agent'],
  },
  workloadKey: {
    type: 'string',
    env: ['BULWARK_WORKLOAD_KEY'],
    default: 'P-256',
    choices: ['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'],
    doc: 'The kind of key that the agent makes for a workload, a new one for each certificate.',
    scope: ['agent'],
  },
  drainDuration: {
    type: 'duration',
    env: ['BULWARK_DRAIN_DURATION'],
    default: '5s',
    min: '1s',
    max: '1h',
    doc: 'How long Envoy lets open connections end by themselves, when it stops and when a listener changes.',
    scope: ['agent'],
  },
  connectionReportInterval: {
    type: 'duration',
    env: ['BULWARK_CONNECTION_REPORT_INTERVAL'],
    default: '15s',
    min: '1s',
    max: '1h',
    doc: 'How often an agent asks its Envoys who connected with mutual TLS and who without, and tells the control plane when that changed.',
    scope: ['agent'],
  },
  outputCerts: {
    type: 'path',
    env: ['BULWARK_OUTPUT_CERTS', 'OUTPUT_CERTS'],
    default: undefined,
    doc: 'A folder to write key.pem, cert-chain.pem and root-cert.pem to, for applications that do TLS themselves. Puts a private key on disk. With several workloads each has a folder NAME.NAMESPACE in it.',
    scope: ['agent'],
  },
  stateDirectory: {
    type: 'path',
    env: ['BULWARK_STATE_DIRECTORY'],
    default: undefined,
    doc: 'A folder in which the agent keeps key and certificate of each workload, to go on with them after a restart or a reboot: what machines that joined with a token need. Puts private keys on disk, for the user of the agent only.',
    scope: ['agent'],
  },
  secretDirectories: {
    type: 'list',
    env: ['BULWARK_SECRET_DIRECTORIES'],
    default: '',
    doc: 'Folders whose certificates and keys a DestinationRule may name for TLS to servers outside of the mesh. The roots of the system may always be named.',
    scope: ['agent'],
  },
  runDirectory: {
    type: 'path',
    env: ['BULWARK_RUN_DIRECTORY'],
    default: undefined,
    doc: 'Where the agent keeps sockets and Envoy bootstrap files; a private temporary folder when not set.',
    scope: ['agent'],
  },
});

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

type ValueOf<D extends SettingDefinition> = D['type'] extends 'integer' | 'port' | 'duration'
  ? number
  : D['type'] extends 'boolean'
    ? boolean
    : D['type'] extends 'list'
      ? readonly string[]
      : D['choices'] extends readonly (infer Choice)[]
        ? Choice
        : string;

/** All settings, resolved: milliseconds for durations, absent only where there is no default. */
export type Settings = {
  readonly [N in SettingName]: (typeof SETTINGS)[N]['default'] extends undefined
    ? ValueOf<(typeof SETTINGS)[N]> | undefined
    : ValueOf<(typeof SETTINGS)[N]>;
};
