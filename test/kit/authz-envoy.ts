import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import {
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { systemCode } from '#base/errors.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { HARDENING } from '#policy/hardening.ts';
import { serveAgent } from './agent-question.ts';
import { httpManager, peerSerial, tcpFilters } from './authz-filters.ts';
import { claimsHeader } from './claims-header.ts';
import { startEnvoy } from './envoy.ts';
import { type TestAuthority, type TestCertificate, testAuthority } from './test-authority.ts';

/** What Envoy did with a request. */
export interface EnvoyVerdict {
  readonly verdict: 'allow' | 'deny' | 'malformed';
  /** For a denied HTTP request the rule that Envoy names; `none` when no ALLOW rule matched. */
  readonly rule?: string;
}

/** A real Envoy that enforces several authorizations, each on listeners of its own. */
export interface AuthzEnvoy {
  /**
   * Sends a request, over mutual TLS when the caller has an identity, to the authorization at
   * `index`.
   */
  decide(index: number, request: AuthzRequest): Promise<EnvoyVerdict>;
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
/** Long enough for Envoy to see that it is no TLS: that takes five bytes. */
const GREETING = 'good morning';
const END_OF_HEAD = '\r\n\r\n';
const ANSWER_MS_MAX = 10_000;
const DETAILS = /rbac_access_denied_matched_policy\[(.*)\]/;

/**
 * Starts the Envoy. Policies name ports as Envoy sees them, and `principals` whom they mean; from
 * `largeFrom` rules on Envoy looks the caller up. `ahead` are filters before all others, as JSON.
 */
export async function startAuthzEnvoy(
  test: Pick<TestContext, 'after'>,
  authorizations: readonly WorkloadAuthorization[],
  profile: HardeningProfile,
  principals: PrincipalBinding = 'peer',
  largeFrom = Number.POSITIVE_INFINITY,
  ahead: readonly unknown[] = [],
): Promise<AuthzEnvoy> {
  const authority = testAuthority();
  const server = authority.issue({ uris: ['spiffe://cluster.local/ns/foo/sa/server'] });
  const sockets = transportSockets(authority, server);
  const listeners = authorizations.flatMap((authorization, index) => [
    listener(`http-${index}`, sockets, [
      httpManager(authorization, profile, { principals, largeFrom, ahead }),
    ]),
    listener(`tcp-${index}`, sockets, tcpFilters(authorization)),
  ]);
  const envoy = await startEnvoy(test, {
    bootstrap: {
      static_resources: { listeners, clusters: [await serveAgent(test)] },
      layered_runtime: {
        layers: [{ name: 'test', static_layer: runtime(profile) }],
      },
    },
  });
  await envoy.ready();
  const ports = portsOf(await envoy.admin('/listeners?format=json'));
  // To read a key anew for each of thousands of connections takes longer than the handshake.
  const contexts = new Map<string | undefined, SecureContext>();
  const contextOf = (identity: string | undefined): SecureContext => {
    const known = contexts.get(identity) ?? clientContext(authority, identity);
    contexts.set(identity, known);
    return known;
  };
  return {
    decide: async (index, request) => {
      const kind = request.http === undefined ? 'tcp' : 'http';
      const port = ports.get(`${kind}-${index}`) ?? 0;
      const socket = await open(port, request, contextOf);
      try {
        return await (kind === 'http' ? askHttp(socket, request) : askTcp(socket));
      } finally {
        socket.destroy();
      }
    },
  };
}

/** What agents and the control plane give every Envoy. */
function runtime(profile: HardeningProfile) {
  return {
    're2.max_program_size.error_level': 32_768,
    'envoy.reloadable_features.http_reject_path_with_fragment':
      HARDENING[profile].fragmentsAreRefused,
  };
}

function portsOf(listeners: string): Map<string, number> {
  const { listener_statuses: statuses } = JSON.parse(listeners) as {
    listener_statuses: {
      name: string;
      local_address: { socket_address: { port_value: number } };
    }[];
  };
  return new Map(
    statuses.map(({ name, local_address }) => [name, local_address.socket_address.port_value]),
  );
}

/**
 * Plain text and TLS on one port. The PROXY header sets the addresses and the port that policies
 * see.
 */
function listener(name: string, transportSocket: unknown, filters: readonly unknown[]) {
  const listenerFilter = (kind: string, type: string) => ({
    name: kind,
    typed_config: { '@type': `${EXTENSIONS}.filters.listener.${kind}.v3.${type}` },
  });
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    listener_filters: [
      listenerFilter('proxy_protocol', 'ProxyProtocol'),
      listenerFilter('tls_inspector', 'TlsInspector'),
    ],
    filter_chains: [
      {
        filter_chain_match: { transport_protocol: 'tls' },
        transport_socket: transportSocket,
        filters: [peerSerial, ...filters],
      },
      { filter_chain_match: { transport_protocol: 'raw_buffer' }, filters },
    ],
  };
}

function transportSockets(authority: TestAuthority, server: TestCertificate) {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        tls_certificates: [
          {
            certificate_chain: { inline_string: server.certificate },
            private_key: { inline_string: server.privateKey },
          },
        ],
        validation_context: { trusted_ca: { inline_string: authority.root } },
      },
    },
  };
}

/** What a caller without identity has no certificate for. */
function clientContext(authority: TestAuthority, identity: string | undefined): SecureContext {
  if (identity === undefined) return createSecureContext();
  const { certificate, privateKey } = authority.issue({ uris: [identity] });
  return createSecureContext({ cert: certificate, key: privateKey });
}

async function open(
  port: number,
  { source, destination, serverName }: AuthzRequest,
  contextOf: (identity: string | undefined) => SecureContext,
): Promise<Socket | TLSSocket> {
  const socket = connectTcp({ host: '127.0.0.1', port, localAddress: source.address });
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('no answer in time')));
  await once(socket, 'connect');
  const client = source.originalAddress ?? source.address;
  socket.write(`PROXY TCP4 ${client} ${destination.address} 40000 ${destination.port}\r\n`);
  if (source.identity === undefined && serverName === undefined) return socket;
  const secure = connectTls({
    socket,
    secureContext: contextOf(source.identity),
    ...(serverName === undefined ? {} : { servername: serverName }),
    // Whether the client checks the server is not what is tested here.
    rejectUnauthorized: false,
  });
  await once(secure, 'secureConnect');
  return secure;
}

async function askHttp(socket: Socket, { http }: AuthzRequest): Promise<EnvoyVerdict> {
  if (http === undefined) throw new Error('no HTTP request');
  const headers = Object.entries(http.headers ?? {}).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}\r\n`),
  );
  const payload = http.claims === undefined ? '' : `${claimsHeader(http.claims)}\r\n`;
  const head = `${http.method} ${http.target} HTTP/1.1\r\nhost: ${http.host}\r\n`;
  socket.write(`${head}connection: close\r\n${payload}${headers.join('')}\r\n`, 'latin1');
  const answer = await readAnswer(socket);
  const status = Number(answer.split(' ')[1]);
  if (status === 200) return { verdict: 'allow' };
  if (status === 400) return { verdict: 'malformed' };
  const rule = DETAILS.exec(answer)?.[1];
  if (status === 403 && rule !== undefined) return { verdict: 'deny', rule };
  throw new Error(`unexpected answer: ${answer}`);
}

/** The echo filter sends back what it gets, when it gets it; a denied connection is closed. */
async function askTcp(socket: Socket): Promise<EnvoyVerdict> {
  socket.write(GREETING);
  try {
    for await (const chunk of socket)
      if (String(chunk) === GREETING) return { verdict: 'allow' };
      else throw new Error(`unexpected answer: ${chunk}`);
  } catch (error) {
    if (systemCode(error) !== 'ECONNRESET') throw error;
  }
  return { verdict: 'deny' };
}

/**
 * One answer with its body. Envoy leaves the connection open for a second after it, even when asked
 * to close.
 */
async function readAnswer(socket: Socket): Promise<string> {
  let answer = '';
  for await (const chunk of socket) {
    answer += (chunk as Buffer).toString('latin1');
    const head = answer.indexOf(END_OF_HEAD);
    const length = Number(/^content-length: (\d+)\r$/im.exec(answer)?.[1] ?? 0);
    if (head >= 0 && answer.length >= head + END_OF_HEAD.length + length) break;
  }
  return answer;
}
