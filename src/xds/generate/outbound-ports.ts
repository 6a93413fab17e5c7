import type { Endpoint, ServiceEndpoints } from '#model/endpoint.ts';
import type { EndpointIndex } from '#model/endpoint-index.ts';
import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { Labels } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { ServiceView } from '#model/service-index.ts';
import { HARDENING } from '#policy/hardening.ts';
import { isCalledByAddress } from '#policy/tls/called-by-address.ts';
import type { Credential } from '#policy/tls/credential.ts';
import type { ClientRule, ClientRules, ClientSubset } from '#policy/tls/destination-rules.ts';
import type { RevokedServers } from '#policy/tls/revoked-servers.ts';
import { serverNames } from '#policy/tls/server-names.ts';
import { upstreamTls } from '#policy/tls/upstream-tls.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';
import type { AssignedEndpoint } from '#xds/generate/endpoint-assignment.ts';
import { federatedRootsName, serverRoots } from '#xds/generate/federated-roots.ts';
import type { UpstreamHttp } from '#xds/generate/http-protocol.ts';
import { meshServerName, outboundClusterName } from '#xds/generate/naming.ts';
import type {
  ClusterDiscovery,
  ClusterTls,
  OutboundClusterInput,
} from '#xds/generate/outbound-cluster.ts';

/** A service port, or a subset of it, as clients call it. */
export interface OutboundPort {
  readonly cluster: OutboundClusterInput;
  /** Those of its subset, in their order. */
  readonly endpoints: readonly Endpoint[];
}

/** What a client sees, and what it is decided by. */
export interface OutboundScope {
  readonly view: ServiceView;
  readonly endpoints: EndpointIndex;
  readonly rules: ClientRules;
  readonly settings: MeshSettings;
  /** Other trust domains whose identities can be verified. */
  readonly federated: readonly TrustDomain[];
  /** What a credentialName stands for, for the client. */
  readonly credential: (name: string) => Credential;
  readonly interception: 'redirect' | 'explicit';
  /** What the client's connections are kept apart by; see `connectionDomain`. */
  readonly ownDomain: TrustDomain | undefined;
  /** Servers that nobody is to take any more. */
  readonly revoked: RevokedServers;
  /** Those endpoints that have the labels; the same array for the same question. */
  readonly select: (endpoints: readonly Endpoint[], labels: Labels) => readonly Endpoint[];
  /** Marks the endpoints that are to get mutual TLS. */
  readonly assign: (endpoints: readonly Endpoint[]) => readonly AssignedEndpoint[];
}

/** What a cluster is for. */
interface Target {
  readonly service: Service;
  readonly port: ServicePort;
  readonly rule: ClientRule | undefined;
  /** undefined = the service as a whole. */
  readonly subset: ClientSubset | undefined;
  /** What is behind the whole service. */
  readonly behind: ServiceEndpoints;
}

/**
 * Every service port that a client may call and every subset of it, with how to connect to it.
 * Sorted by host, then port; the whole port comes before its subsets.
 */
export function outboundPorts(scope: OutboundScope): readonly OutboundPort[] {
  return scope.view.services.flatMap((service) => {
    const behind = scope.endpoints.of(service);
    const rule = scope.rules.ruleFor(service);
    return service.ports
      .filter(({ protocol }) => PROTOCOLS[protocol].handling !== 'none')
      .flatMap((port) =>
        [undefined, ...(rule?.subsets ?? [])].map((subset) =>
          outboundPort(scope, { service, port, rule, subset, behind }),
        ),
      );
  });
}

function outboundPort(scope: OutboundScope, target: Target): OutboundPort {
  const { service, port, subset, behind } = target;
  const all = behind.byPort.get(port.port) ?? [];
  const endpoints = subset ? scope.select(all, subset.labels) : all;
  const name = outboundClusterName(port.port, subset?.name ?? '', service.host);
  const http = httpOf(port);
  const tls = tlsOf(scope, target, endpoints);
  const cluster: OutboundClusterInput =
    tls === 'refuse'
      ? { name, http, tls: { mode: 'plain' }, discovery: { by: 'nothing' } }
      : { name, http, tls, discovery: discoveryOf(scope, target, endpoints) };
  return { cluster, endpoints };
}

function httpOf({ protocol }: ServicePort): UpstreamHttp {
  const { handling, http2 } = PROTOCOLS[protocol];
  if (handling === 'sniffed') return 'caller';
  if (handling !== 'http') return 'none';
  return http2 ? 'http2' : 'http1';
}

function tlsOf(
  scope: OutboundScope,
  target: Target,
  endpoints: readonly Endpoint[],
): ClusterTls | 'refuse' {
  const { service, rule, behind } = target;
  const { port } = target.port;
  const { autoMtls, hardening } = scope.settings;
  const subset = target.subset?.name ?? '';
  const { credential } = scope;
  const outsideIsNamed = HARDENING[hardening].outsideServersAreNamed;
  const tls = upstreamTls({ service, port, rule, subset, autoMtls, outsideIsNamed, credential });
  switch (tls.mode) {
    case 'plain':
      return { mode: 'plain' };
    case 'originate':
      return tls;
    case 'refuse':
      return 'refuse';
    case 'auto':
    case 'mesh': {
      const perEndpoint = tls.mode === 'auto' && !isPassthrough(scope, target);
      if (tls.mode === 'auto' && !perEndpoint && !allTakeMtls(scope, endpoints))
        return { mode: 'plain' };
      const asked = tls.mode === 'mesh' ? tls.subjectAltNames : [];
      const sni = tls.mode === 'mesh' ? tls.sni : undefined;
      const trustDomains = meshTrustDomains(scope.settings);
      const unknownIsNarrowed = HARDENING[hardening].unknownServersAreNarrowed;
      const given = { service, endpoints: behind, trustDomains, asked, unknownIsNarrowed };
      const { names, revokedBy } = scope.revoked.narrow(serverNames(given));
      return {
        mode: 'mesh',
        perEndpoint,
        names,
        roots: serverRoots(names, scope.federated),
        sni: sni ?? meshServerName(port, subset, service.host),
        ownDomain: scope.ownDomain,
        revokedBy,
      };
    }
  }
}

function isPassthrough({ interception }: OutboundScope, { service, port }: Target): boolean {
  return interception === 'redirect' && isCalledByAddress(service, port.protocol);
}

/**
 * What holds for every address that a caller may choose: mutual TLS only when every known endpoint
 * takes it, as in Istio.
 */
function allTakeMtls(scope: OutboundScope, endpoints: readonly Endpoint[]): boolean {
  return endpoints.length > 0 && scope.assign(endpoints).every(({ mtls }) => mtls);
}

/** The sets of other trust domains by whose roots these verify their servers, each once. */
export function foreignRoots(ports: readonly OutboundPort[]): readonly (readonly TrustDomain[])[] {
  const sets = ports.flatMap(({ cluster: { tls } }) => {
    const roots = tls.mode === 'mesh' ? tls.roots : 'own';
    return typeof roots === 'string' ? [] : [[federatedRootsName(roots), roots] as const];
  });
  return [...new Map(sets).values()];
}

function discoveryOf(
  scope: OutboundScope,
  target: Target,
  endpoints: readonly Endpoint[],
): ClusterDiscovery {
  const { service, port, subset, behind } = target;
  const { resolution, host } = service;
  if (isPassthrough(scope, target)) return { by: 'original-destination' };
  if (resolution === 'static') return { by: 'eds' };
  const written = scope.assign(endpoints).map(({ endpoint, mtls }) => ({
    address: endpoint.workload.address,
    port: endpoint.port,
    mtls,
  }));
  if (written.length > 0) return { by: 'dns', targets: written };
  const isPart = Object.keys(subset?.labels ?? {}).length > 0;
  if (isPart || (behind.byPort.get(port.port) ?? []).length > 0) return { by: 'nothing' };
  // Nothing is redirected, so no address was chosen by the caller: the name it gives is all there
  // is.
  if (host.startsWith('*') || typeof port.targetPort === 'string') return { by: 'nothing' };
  return { by: 'dns', targets: [{ address: host, port: port.targetPort, mtls: false }] };
}
