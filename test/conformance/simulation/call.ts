/** A connection of `simulation.json`, with what the data leaves out. */
export interface SimulatedCall {
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly protocol: 'http' | 'http2' | 'tcp';
  /** `mtls`: from a proxy of the mesh; `tls`: anybody else's. */
  readonly tls: 'plaintext' | 'tls' | 'mtls';
  readonly alpn: string;
  readonly sni: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly inbound: boolean;
}

/** A call as the data writes it: what is left out is not of interest. */
export interface WrittenCall {
  readonly address?: string;
  readonly port: number;
  readonly path?: string;
  readonly protocol?: SimulatedCall['protocol'];
  readonly tls?: SimulatedCall['tls'] | '';
  readonly alpn?: string;
  readonly sni?: string;
  readonly hostHeader?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly callMode?: string;
}

/** An address that nothing is said about. */
const ANY_ADDRESS = '192.0.2.1';

/** What a client of the mesh, or any other, offers to speak inside of TLS. */
const OFFERED = {
  mtls: { http: 'istio-http/1.1', http2: 'istio-h2', tcp: 'istio' },
  tls: { http: 'http/1.1', http2: 'h2', tcp: '' },
  plaintext: { http: '', http2: '', tcp: '' },
} as const;

/** The call with all that Istio's simulation assumes where nothing is written. */
export function completeCall(written: WrittenCall): SimulatedCall {
  const { port, protocol = 'tcp', hostHeader = '' } = written;
  const tls = written.tls || 'plaintext';
  const headers = written.headers ?? {};
  return {
    address: written.address ?? ANY_ADDRESS,
    port,
    path: written.path ?? '/',
    protocol,
    tls,
    alpn: written.alpn || OFFERED[tls][protocol],
    sni: written.sni || (tls === 'tls' ? hostHeader : ''),
    host: hostHeader || (headers.Host?.[0] ?? ''),
    headers,
    inbound: written.callMode === 'inbound',
  };
}
