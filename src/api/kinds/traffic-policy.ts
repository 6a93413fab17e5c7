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

const clientTls = object('TLS of the connections to the service.', {
  mode: choice('DISABLE (when left out), SIMPLE, MUTUAL, or ISTIO_MUTUAL (the mesh identity).', [
    'DISABLE',
    'SIMPLE',
    'MUTUAL',
    'ISTIO_MUTUAL',
  ]),
  clientCertificate: text('File of the client certificate, for MUTUAL.'),
  privateKey: text('File of the client key, for MUTUAL.'),
  caCertificates: text('File of the certificates that the server is verified with.'),
  caCrl: text('File of a revocation list that the server is checked against.'),
  credentialName: text('Secret that holds certificate, key and authorities instead of files.'),
  subjectAltNames: list('Names of which the server certificate must carry one.', text('A name.')),
  sni: text('Server name to ask for.'),
  insecureSkipVerify: flag('Do not verify the server certificate at all.', { nullable: true }),
});

const connectionPool = object('Limits of connections and requests.', {
  tcp: object('Limits for every connection.', {
    maxConnections: integer('Connections to one host.', INT32),
    connectTimeout: text('How long connecting may take.'),
    maxConnectionDuration: text('How long a connection may live.'),
    idleTimeout: text('How long a TCP connection may be idle.'),
    tcpKeepalive: object('TCP keep-alive.', {
      probes: integer('Probes without answer until the connection is dead.', UINT32),
      time: text('Idle time before the first probe.'),
      interval: text('Time between probes.'),
    }),
  }),
  http: object('Limits for HTTP.', {
    http1MaxPendingRequests: integer('Requests that wait for a connection.', INT32),
    http2MaxRequests: integer('Requests under way.', INT32),
    maxRequestsPerConnection: integer('Requests on one connection; 1 = no keep-alive.', INT32),
    maxRetries: integer('Retries under way.', INT32),
    idleTimeout: text('How long a connection may be idle.'),
    h2UpgradePolicy: choice('Whether HTTP/1.1 becomes HTTP/2.', [
      'DEFAULT',
      'DO_NOT_UPGRADE',
      'UPGRADE',
    ]),
    useClientProtocol: flag('Keep the protocol of the caller.'),
    maxConcurrentStreams: integer('Streams on one HTTP/2 connection.', INT32),
  }),
});

/** `localityLbSetting` of a load balancer, and of the mesh configuration. */
export const localityLbSetting = object('Preference of near endpoints; one of the three ways.', {
  distribute: list(
    'Shares of the traffic by locality.',
    object('Shares for callers of one locality.', {
      from: text('Locality of the caller, `region/zone/*`.'),
      to: map('Percent by locality; 100 in all.', integer('Percent.', UINT32)),
    }),
  ),
  failover: list(
    'Where traffic goes when a region is unhealthy.',
    object('One region.', { from: text('Region that fails.'), to: text('Region to go to.') }),
  ),
  failoverPriority: list('Labels that nearness is judged by, first one first.', text('A label.')),
  enabled: flag('Overrides the mesh setting.', { nullable: true }),
});

const loadBalancer = object('How an endpoint is chosen.', {
  simple: choice('A plain algorithm; not together with `consistentHash`.', [
    'UNSPECIFIED',
    'LEAST_CONN',
    'RANDOM',
    'PASSTHROUGH',
    'ROUND_ROBIN',
    'LEAST_REQUEST',
  ]),
  consistentHash: object('The same caller reaches the same endpoint, by a hash of one thing.', {
    httpHeaderName: text('Hash of this header.'),
    httpCookie: object(
      'Hash of a cookie.',
      {
        name: text('Name of the cookie.'),
        path: text('Path of the cookie.'),
        ttl: text('Life of the cookie; made when absent.'),
      },
      { required: ['name'] },
    ),
    useSourceIp: flag('Hash of the address of the caller.'),
    httpQueryParameterName: text('Hash of this query parameter.'),
    ringHash: object('Ring hash.', {
      minimumRingSize: integer('Smallest number of points on the ring.', { minimum: 0 }),
    }),
    maglev: object('Maglev hash.', {
      tableSize: integer('Size of the table, a prime number.', { minimum: 0 }),
    }),
    minimumRingSize: integer('Use `ringHash` instead.', { minimum: 0 }),
  }),
  localityLbSetting,
  warmupDurationSecs: text('Use `warmup` instead.'),
  warmup: object(
    'New endpoints get their share slowly.',
    {
      duration: text('How long it takes.'),
      minimumPercent: decimal('Share at the beginning.', {
        minimum: 0,
        maximum: 100,
        nullable: true,
      }),
      aggression: decimal('Shape of the growth; 1 = straight.', { minimum: 1, nullable: true }),
    },
    { required: ['duration'] },
  ),
});

const outlierDetection = object('Endpoints that fail are left out for a while.', {
  consecutiveErrors: integer('Use `consecutive5xxErrors` instead.', INT32),
  splitExternalLocalOriginErrors: flag('Count connection failures apart from error answers.'),
  consecutiveLocalOriginFailures: integer('Connection failures in a row.', {
    ...UINT32,
    nullable: true,
  }),
  consecutiveGatewayErrors: integer('502, 503 or 504 in a row.', { ...UINT32, nullable: true }),
  consecutive5xxErrors: integer('5xx in a row; 5 when left out, 0 = off.', {
    ...UINT32,
    nullable: true,
  }),
  interval: text('Time between looks; 10s when left out.'),
  baseEjectionTime: text('Shortest time out; 30s when left out.'),
  maxEjectionPercent: integer('Share of the endpoints that may be out; 10 when left out.', INT32),
  minHealthPercent: integer('Share of healthy endpoints below which none is left out.', INT32),
});

const portTrafficPolicy = object('Settings of one port; they replace those above it as a whole.', {
  port: object('The port of the service.', { number: integer('Port number.', UINT32) }),
  loadBalancer,
  connectionPool,
  outlierDetection,
  tls: clientTls,
});

/** `trafficPolicy` of a DestinationRule and of its subsets. */
export const trafficPolicy = object('How traffic to the service is handled.', {
  loadBalancer,
  connectionPool,
  outlierDetection,
  tls: clientTls,
  portLevelSettings: list('Settings of single ports.', portTrafficPolicy, { maxItems: 4096 }),
  tunnel: object(
    'TCP is carried inside an HTTP tunnel.',
    {
      protocol: text('`CONNECT` (when left out) or `POST`.'),
      targetHost: text('Host that the tunnel leads to.'),
      targetPort: integer('Port that the tunnel leads to.', UINT32),
    },
    { required: ['targetHost', 'targetPort'] },
  ),
  proxyProtocol: object('The PROXY protocol tells the server who calls.', {
    version: choice('V1 when left out.', ['V1', 'V2']),
  }),
  retryBudget: object('Bound on retries in proportion to requests.', {
    percent: decimal('Percent of requests under way; 20 when left out.', {
      minimum: 0,
      maximum: 100,
      nullable: true,
    }),
    minRetryConcurrency: integer('Retries always allowed; 3 when left out.', UINT32),
  }),
});

/** `tls` of a traffic policy. */
export interface ClientTls extends ValueOf<typeof clientTls> {}
/** `connectionPool` of a traffic policy. */
export interface ConnectionPool extends ValueOf<typeof connectionPool> {}
/** `loadBalancer` of a traffic policy. */
export interface LoadBalancer extends ValueOf<typeof loadBalancer> {}
/** `outlierDetection` of a traffic policy. */
export interface OutlierDetection extends ValueOf<typeof outlierDetection> {}
/** `portLevelSettings[]`. */
export interface PortTrafficPolicy extends ValueOf<typeof portTrafficPolicy> {}
/** `trafficPolicy`. */
export interface TrafficPolicy extends ValueOf<typeof trafficPolicy> {}
