import type { ServiceEndpoints } from '#model/endpoint.ts';
import type { EndpointIndex } from '#model/endpoint-index.ts';
import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { ServiceView } from '#model/service-index.ts';
import { HARDENING } from '#policy/hardening.ts';
import type { ClientRules } from '#policy/tls/destination-rules.ts';
import { serverNames } from '#policy/tls/server-names.ts';
import { upstreamTls } from '#policy/tls/upstream-tls.ts';
import type { AssignedEndpoint } from '#xds/generate/endpoint-assignment.ts';
import type { UpstreamHttp } from '#xds/generate/http-protocol.ts';
import { meshServerName, outboundClusterName } from '#xds/generate/naming.ts';
import type {
  ClusterDiscovery,
  ClusterTls,
  OutboundClusterInput,
} from '#xds/generate/outbound-cluster.ts';

/** A service port as clients call it. */
export interface OutboundPort {
  readonly service: Service;
  readonly port: ServicePort;
  readonly cluster: OutboundClusterInput;
  readonly endpoints: ServiceEndpoints;
}

/** What a client sees, and what it is decided by. */
export interface OutboundScope {
  readonly view: ServiceView;
  readonly endpoints: EndpointIndex;
  readonly rules: ClientRules;
  readonly settings: MeshSettings;
  readonly interception: 'redirect' | 'explicit';
  /** Marks the endpoints of a service port that are to get mutual TLS. */
  readonly assign: (endpoints: ServiceEndpoints, port: number) => readonly AssignedEndpoint[];
}

/**
 * Every service port that a client may call, with how to connect to it. Sorted by host, then port.
 */
export function outboundPorts(scope: OutboundScope): readonly OutboundPort[] {
  return scope.view.services.flatMap((service) => {
    const endpoints = scope.endpoints.of(service);
    return service.ports
      .filter(({ protocol }) => PROTOCOLS[protocol].handling !== 'none')
      .map((port) => ({
        service,
        port,
        endpoints,
        cluster: clusterInput(scope, service, port, endpoints),
      }));
  });
}

function clusterInput(
  scope: OutboundScope,
  service: Service,
  port: ServicePort,
  endpoints: ServiceEndpoints,
): OutboundClusterInput {
  const name = outboundClusterName(port.port, '', service.host);
  const http = httpOf(port);
  const tls = tlsOf(scope, service, port, endpoints);
  if (tls === 'refuse') return { name, http, tls: { mode: 'plain' }, discovery: { by: 'nothing' } };
  return { name, http, tls, discovery: discoveryOf(scope, service, port, endpoints) };
}

function httpOf({ protocol }: ServicePort): UpstreamHttp {
  const { handling, http2 } = PROTOCOLS[protocol];
  if (handling === 'sniffed') return 'caller';
  if (handling !== 'http') return 'none';
  return http2 ? 'http2' : 'http1';
}

function tlsOf(
  scope: OutboundScope,
  service: Service,
  { port }: ServicePort,
  endpoints: ServiceEndpoints,
): ClusterTls | 'refuse' {
  const { autoMtls, hardening } = scope.settings;
  const rule = scope.rules.ruleFor(service);
  const tls = upstreamTls({ service, port, rule, subset: '', autoMtls });
  switch (tls.mode) {
    case 'plain':
      return { mode: 'plain' };
    case 'originate':
      return tls;
    case 'refuse':
      return 'refuse';
    case 'auto':
    case 'mesh': {
      const asked = tls.mode === 'mesh' ? tls.subjectAltNames : [];
      const sni = tls.mode === 'mesh' ? tls.sni : undefined;
      const trustDomains = meshTrustDomains(scope.settings);
      const unknownIsNarrowed = HARDENING[hardening].unknownServersAreNarrowed;
      return {
        mode: 'mesh',
        perEndpoint: tls.mode === 'auto',
        names: serverNames({ service, endpoints, trustDomains, asked, unknownIsNarrowed }),
        sni: sni ?? meshServerName(port, '', service.host),
      };
    }
  }
}

function discoveryOf(
  scope: OutboundScope,
  service: Service,
  port: ServicePort,
  endpoints: ServiceEndpoints,
): ClusterDiscovery {
  const { resolution, host } = service;
  if (resolution === 'static') return { by: 'eds' };
  if (resolution === 'none' && scope.interception === 'redirect')
    return { by: 'original-destination' };
  const written = scope.assign(endpoints, port.port).map(({ endpoint, mtls }) => ({
    address: endpoint.workload.address,
    port: endpoint.port,
    mtls,
  }));
  if (written.length > 0) return { by: 'dns', targets: written };
  // Nothing is redirected, so no address was chosen by the caller: the name it gives is all there
  // is.
  if (host.startsWith('*') || typeof port.targetPort === 'string') return { by: 'nothing' };
  return { by: 'dns', targets: [{ address: host, port: port.targetPort, mtls: false }] };
}
