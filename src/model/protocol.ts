/**
 * What a service port speaks. `auto` = not declared: the proxy looks at the first bytes. `tls` is
 * TLS of the application's own, passed through (also `https`). `mysql` and `smtp` are TCP in which
 * the server speaks first.
 */
export type Protocol =
  | 'http'
  | 'http2'
  | 'grpc'
  | 'grpc-web'
  | 'tcp'
  | 'tls'
  | 'mysql'
  | 'smtp'
  | 'udp'
  | 'auto';

/** How a proxy handles a protocol. */
export interface ProtocolTraits {
  /** `sniffed`: HTTP when the first bytes say so, else TCP. `none`: not handled by a proxy. */
  readonly handling: 'http' | 'tcp' | 'sniffed' | 'none';
  /** Whether requests go to the endpoint as HTTP/2. */
  readonly http2: boolean;
  /**
   * Whether the client waits for the server's greeting, so nothing can be learned from its first
   * bytes.
   */
  readonly serverFirst: boolean;
}

const PLAIN = { http2: false, serverFirst: false } as const;

/** Every protocol and how it is handled. */
export const PROTOCOLS: Readonly<Record<Protocol, ProtocolTraits>> = {
  http: { handling: 'http', ...PLAIN },
  http2: { handling: 'http', http2: true, serverFirst: false },
  grpc: { handling: 'http', http2: true, serverFirst: false },
  'grpc-web': { handling: 'http', http2: true, serverFirst: false },
  tcp: { handling: 'tcp', ...PLAIN },
  tls: { handling: 'tcp', ...PLAIN },
  mysql: { handling: 'tcp', http2: false, serverFirst: true },
  smtp: { handling: 'tcp', http2: false, serverFirst: true },
  udp: { handling: 'none', ...PLAIN },
  auto: { handling: 'sniffed', ...PLAIN },
};

/**
 * Words that users write, in lower case (Istio, "Protocol Selection"; Kubernetes' standard
 * appProtocols).
 */
const WORDS: Readonly<Record<string, Protocol>> = {
  http: 'http',
  http_proxy: 'http',
  'kubernetes.io/ws': 'http',
  http2: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'grpc',
  'grpc-web': 'grpc-web',
  https: 'tls',
  'kubernetes.io/wss': 'tls',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  redis: 'tcp',
  mysql: 'mysql',
  smtp: 'smtp',
  udp: 'udp',
};

/** The protocol of a word such as `HTTP` or `grpc-web`; undefined when it names none. */
export function parseProtocol(word: string): Protocol | undefined {
  return Object.hasOwn(WORDS, word.toLowerCase()) ? WORDS[word.toLowerCase()] : undefined;
}

/** What is known of a port's protocol. */
export interface PortDeclaration {
  /** `TCP`, `UDP`, `SCTP`; TCP when left out. */
  readonly transport?: string | undefined;
  readonly appProtocol?: string | undefined;
  readonly name?: string | undefined;
  readonly port: number;
}

/**
 * Ports that have a protocol though nobody says so: those in which the server speaks first, or
 * sniffing breaks.
 */
const WELL_KNOWN: Readonly<Record<number, Protocol>> = {
  25: 'smtp',
  53: 'tcp',
  853: 'tcp',
  3306: 'mysql',
  27017: 'tcp',
};

/**
 * The protocol of a Kubernetes port by Istio's rule: UDP by transport, then `appProtocol` or, only
 * without one, the port's name, either up to its first `-`; then the well-known number, else
 * `auto`.
 */
export function declaredProtocol(declaration: PortDeclaration): Protocol {
  const { transport, appProtocol, name, port } = declaration;
  if (transport !== undefined && transport !== 'TCP') return 'udp';
  const word = (appProtocol ?? name ?? '').toLowerCase();
  if (word === 'grpc-web' || word.startsWith('grpc-web-')) return 'grpc-web';
  const declared = parseProtocol(word) ?? parseProtocol(word.split('-', 1)[0] ?? '');
  return declared ?? WELL_KNOWN[port] ?? 'auto';
}
