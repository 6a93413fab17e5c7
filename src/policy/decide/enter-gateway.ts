import { present } from '#base/assert.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Call, Caller } from '#policy/decide/call.ts';
import type { ConnectionResult } from '#policy/decide/connection.ts';
import { gatewayOf } from '#policy/decide/find-gateways.ts';
import type { PolicyObject } from '#policy/decide/layer.ts';
import { isDerived } from '#policy/gateway/derived-gateways.ts';
import {
  type BoundServer,
  type GatewayPort,
  type ServerWay,
  serverNamed,
  serverWay,
} from '#policy/gateway/gateway-ports.ts';
import { hostOf } from '#policy/gateway/server-hosts.ts';
import { type GatewayTls, gatewayTls } from '#policy/tls/gateway-tls.ts';

/** How a gateway takes a connection. */
export interface EnteredGateway extends ConnectionResult {
  /** The servers that answer requests: several where only the Host header tells them apart. */
  readonly servers: readonly BoundServer[];
  readonly way: ServerWay;
  /**
   * Whom the caller's certificate proves: its URI; of one without, what stands for its subject.
   * Undefined = nobody.
   */
  readonly peer: string | undefined;
  /** The name that the caller asks for by TLS; undefined = plaintext. */
  readonly serverName: string | undefined;
}

const LAYER = 'connection';

/**
 * Whether a gateway takes a connection, and whom it takes the caller for. Callers that speak TLS
 * ask for the server by the name that their request is for.
 */
export function enterGateway(
  { from, http }: Pick<Call, 'from' | 'http'>,
  entrance: GatewayPort,
  mesh: MeshSnapshot,
): EnteredGateway {
  const [first] = entrance.servers;
  const name = hostName(http?.host ?? '');
  // What is not known of a connection that was taken does not turn it away.
  const isNamed = entrance.toldBy === 'serverName' && name !== '';
  const bound = isNamed ? serverNamed(entrance.servers, name) : present(first, 'server');
  if (!bound) {
    const reason = `no server of port ${numberOf(entrance)} has the name "${name}"`;
    const hosts = entrance.servers.flatMap(({ server }) => server.hosts.map(hostOf));
    const advice = `ask for a host that is served there: ${[...new Set(hosts)].join(', ')}`;
    return refused({ reason, way: 'nothing', servers: [], advice });
  }
  const way = serverWay(bound.server);
  const said = writtenAt(bound, mesh);
  switch (way) {
    case 'http':
    case 'tcp': {
      const reason = `plaintext, as port ${numberOf(entrance)} takes it: nobody knows who calls`;
      const layer = { layer: LAYER, outcome: 'pass', reason } as const;
      const servers = way === 'http' ? entrance.servers : [bound];
      return { layer, ...ANONYMOUS, servers, way, serverName: undefined };
    }
    case 'passed-on': {
      const reason = 'TLS is passed on, unread: the gateway does not know who calls';
      const layer = { layer: LAYER, outcome: 'pass', reason, ...said } as const;
      return { layer, ...ANONYMOUS, servers: [bound], way, serverName: name };
    }
    case 'nothing': {
      const reason = 'such a server is not served (see the status of the Gateway)';
      return refused({ reason, way, servers: [bound], said });
    }
    default: {
      const ended = endTls(from, tlsOf(bound), mesh, said);
      return { ...ended, servers: [bound], way, serverName: name };
    }
  }
}

/** Whether a gateway routes requests, and not connections. */
export function routesRequests({ way }: Pick<EnteredGateway, 'way'>): boolean {
  return way === 'http' || way === 'https';
}

/** A host without its port. */
export function hostName(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

type Said = { readonly object: PolicyObject; readonly field: string };
type Ended = Omit<EnteredGateway, 'servers' | 'way' | 'serverName'>;

const ANONYMOUS = { carriesIdentity: false, lostBy: undefined, peer: undefined } as const;

function endTls(from: Caller, tls: GatewayTls, mesh: MeshSnapshot, said: Said): Ended {
  const { callers, callersProveThemselves } = tls;
  const pass = (reason: string, peer?: string): Ended => ({
    layer: { layer: LAYER, outcome: 'pass', reason, ...said },
    carriesIdentity: peer !== undefined,
    lostBy: undefined,
    peer,
  });
  const deny = (reason: string, advice: string): Ended => ({
    ...pass(reason),
    layer: { layer: LAYER, outcome: 'deny', reason, ...said },
    advice,
  });
  if (callers.by === 'nothing') return pass('TLS; callers are not asked for a certificate');
  const { names, peer } = shownBy(from);
  const whose = WHOSE[callers.by](callers);
  if (peer === undefined) {
    if (!callersProveThemselves) return pass('TLS; the caller shows no certificate, and need not');
    const how = callers.by === 'mesh' ? '' : ' (--certificate)';
    return deny(
      `the server asks callers for a certificate of ${whose}, and there is none`,
      `show a certificate of ${whose}${how}`,
    );
  }
  if (callers.by === 'mesh' && !isOfMesh(from, mesh))
    return deny(
      `the certificate of ${peer} is not one of ${whose}`,
      'call with an identity of the mesh, or of a domain that a TrustBundle vouches for',
    );
  const { subjectAltNames: wanted } = tls;
  const [name] = names;
  if (wanted.length > 0 && name !== undefined && !wanted.includes(name)) {
    return deny(
      `the certificate of the caller is for ${name}, and the server asks for ${wanted.join(', ')}`,
      `call with a certificate for ${wanted.join(' or ')}`,
    );
  }
  const taken = callers.by === 'mesh' ? '' : `; its certificate is taken to be of ${whose}`;
  return pass(`TLS; the caller is ${peer}${taken}`, peer);
}

const WHOSE: {
  readonly [K in GatewayTls['callers']['by']]: (by: GatewayTls['callers']) => string;
} = {
  nothing: () => 'nobody',
  mesh: () => 'the mesh',
  secret: (by) => `the authorities in Secret ${'name' in by ? by.name : ''}`,
  file: (by) => `the authorities in ${'path' in by ? by.path : ''}`,
};

/** Names of the certificate of a caller, and whom policies take it for; of none, nothing. */
function shownBy({ identity, certificate }: Caller): {
  readonly names: readonly string[];
  readonly peer: string | undefined;
} {
  if (identity !== undefined) return { names: [identity], peer: identity };
  if (certificate === undefined) return { names: [], peer: undefined };
  if (certificate === '') return { names: [], peer: SUBJECT };
  const isUri = certificate.includes('://');
  return { names: [certificate], peer: isUri ? certificate : `${SUBJECT}${certificate}` };
}

/** Of certificates without a URI policies see the subject, which is not told. */
const SUBJECT = 'CN=';

function isOfMesh({ identity }: Caller, { settings, trustBundles }: MeshSnapshot): boolean {
  const domain = /^spiffe:\/\/([^/]+)/.exec(identity ?? '')?.[1];
  const known: readonly string[] = [...meshTrustDomains(settings), ...trustBundles.domains];
  return domain !== undefined && known.includes(domain);
}

/** Of callers of the mesh no other names are asked for. */
function tlsOf({ server }: BoundServer): GatewayTls {
  const { mode, subjectAltNames = [], ...tls } = server.tls ?? {};
  if (mode === 'ISTIO_MUTUAL') return gatewayTls({ mode });
  const asks = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  return gatewayTls({ ...tls, mode: asks ? mode : 'SIMPLE', ...(asks && { subjectAltNames }) });
}

/** Where a server is written; of the Gateway API it is a listener. */
function writtenAt(bound: BoundServer, mesh: MeshSnapshot): Said {
  const [namespace = '', full = ''] = bound.gateway.split('/');
  const [, name = ''] = gatewayOf(bound).split('/');
  const object = { kind: 'Gateway', namespace, name };
  if (!isDerived(full)) {
    const servers = mesh.gateways.get(namespace, full)?.spec?.servers ?? [];
    return { object, field: `spec.servers[${servers.indexOf(bound.server)}]` };
  }
  const { spec } = mesh.kubernetesGateways.get(namespace, name) ?? {};
  const index = spec?.listeners.findIndex((one) => one.name === bound.server.port.name) ?? 0;
  return { object, field: `spec.listeners[${index}]` };
}

function refused(what: {
  readonly reason: string;
  readonly way: ServerWay;
  readonly servers: readonly BoundServer[];
  readonly advice?: string;
  readonly said?: Said;
}): EnteredGateway {
  const { reason, way, servers, advice, said } = what;
  const layer = { layer: LAYER, outcome: 'deny', reason, ...said } as const;
  const common = { layer, ...ANONYMOUS, servers, way, serverName: undefined };
  return { ...common, ...(advice !== undefined && { advice }) };
}

function numberOf({ servers, listen }: GatewayPort): number {
  return servers[0]?.server.port.number ?? listen;
}
