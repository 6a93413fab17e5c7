import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { createRegistry, type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import { systemCode } from '#base/errors.ts';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { UriTemplateMatchConfigSchema } from '#gen/envoy-api/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { type HardeningProfile, PROFILE_PATHS } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import type { RuleSet, WorkloadAuthorization } from '#policy/authz/selection.ts';
import { HARDENING } from '#policy/hardening.ts';
import { PATH_NORMALIZATIONS } from '#policy/path-normalization.ts';
import { buildHttpRbac, buildNetworkRbac } from '#xds/generate/authz/rbac.ts';
import { agentFilters, serveAgent } from './agent-question.ts';
import { claimsFilter, claimsHeader } from './claims-header.ts';
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
const registry = createRegistry(HttpRbacSchema, NetworkRbacSchema, UriTemplateMatchConfigSchema);
/** Long enough for Envoy to see that it is no TLS: that takes five bytes. */
const GREETING = 'good morning';
const END_OF_HEAD = '\r\n\r\n';
const ANSWER_MS_MAX = 10_000;
const DETAILS = /rbac_access_denied_matched_policy\[(.*)\]/;

/** Starts the Envoy. Policies name ports as Envoy sees them, and `principals` whom they mean. */
export async function startAuthzEnvoy(
  test: Pick<TestContext, 'after'>,
  authorizations: readonly WorkloadAuthorization[],
  profile: HardeningProfile,
  principals: PrincipalBinding = 'peer',
): Promise<AuthzEnvoy> {
  const authority = testAuthority();
  const server = authority.issue({ uris: ['spiffe://cluster.local/ns/foo/sa/server'] });
  const sockets = transportSockets(authority, server);
  const listeners = authorizations.flatMap((authorization, index) => [
    listener(`http-${index}`, sockets, [httpManager(authorization, profile, principals)]),
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
  const certificates = new Map<string, TestCertificate>();
  const certificateOf = (identity: string): TestCertificate => {
    const known = certificates.get(identity) ?? authority.issue({ uris: [identity] });
    certificates.set(identity, known);
    return known;
  };
  return {
    decide: async (index, request) => {
      const kind = request.http === undefined ? 'tcp' : 'http';
      const port = ports.get(`${kind}-${index}`) ?? 0;
      const socket = await open(port, request, certificateOf);
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
        filters,
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

function typed<D extends DescMessage>(name: string, schema: D, message: MessageShape<D>) {
  const json = toJson(schema, message, { registry }) as object;
  return { name, typed_config: { '@type': `type.googleapis.com/${schema.typeName}`, ...json } };
}

const samePort = (port: number): readonly number[] => [port];

function httpManager(
  authorization: WorkloadAuthorization,
  profile: HardeningProfile,
  principals: PrincipalBinding,
) {
  const { http } = authorization;
  const { mergesSlashes, unescapesSlashes } = PATH_NORMALIZATIONS[PROFILE_PATHS[profile]];
  const rbac = (action: 'DENY' | 'ALLOW', rules: RuleSet) =>
    typed(action, HttpRbacSchema, buildHttpRbac(rules, action, samePort, principals));
  const slashes = unescapesSlashes ? 'UNESCAPE_AND_FORWARD' : 'KEEP_UNCHANGED';
  const route = {
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
      },
    ],
  };
  return {
    name: 'http',
    typed_config: {
      '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'test',
      normalize_path: true,
      merge_slashes: mergesSlashes,
      path_with_escaped_slashes_action: slashes,
      route_config: route,
      local_reply_config: {
        body_format: { text_format_source: { inline_string: '%RESPONSE_CODE_DETAILS%' } },
      },
      http_filters: [
        claimsFilter(),
        ...agentFilters(authorization),
        rbac('DENY', http.deny),
        rbac('ALLOW', http.allow),
        {
          name: 'router',
          typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` },
        },
      ],
    },
  };
}

function tcpFilters({ tcp }: WorkloadAuthorization) {
  return [
    typed('deny', NetworkRbacSchema, buildNetworkRbac(tcp.deny, 'DENY', samePort)),
    typed('allow', NetworkRbacSchema, buildNetworkRbac(tcp.allow, 'ALLOW', samePort)),
    { name: 'echo', typed_config: { '@type': `${EXTENSIONS}.filters.network.echo.v3.Echo` } },
  ];
}

async function open(
  port: number,
  { source, destination, serverName }: AuthzRequest,
  certificateOf: (identity: string) => TestCertificate,
): Promise<Socket | TLSSocket> {
  const socket = connectTcp({ host: '127.0.0.1', port, localAddress: source.address });
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('no answer in time')));
  await once(socket, 'connect');
  const client = source.originalAddress ?? source.address;
  socket.write(`PROXY TCP4 ${client} ${destination.address} 40000 ${destination.port}\r\n`);
  if (source.identity === undefined && serverName === undefined) return socket;
  const { certificate, privateKey } =
    source.identity === undefined ? {} : certificateOf(source.identity);
  const secure = connectTls({
    socket,
    ...(certificate === undefined ? {} : { cert: certificate, key: privateKey }),
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
