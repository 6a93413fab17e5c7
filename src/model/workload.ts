import type { WorkloadEntry, WorkloadEntrySpec } from '#api/kinds/workload-entry.ts';
import { PROXY_CONFIG, readProxyConfig } from '#api/mesh-config.ts';
import { isBulwarkError } from '#base/errors.ts';
import { writtenTopology } from '#model/gateway-topology.ts';
import type { GatewayTopology } from '#model/mesh-settings.ts';
import { type SpiffeId, type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

/** A running instance: a WorkloadEntry, or an endpoint written into a ServiceEntry. */
export interface Workload {
  /**
   * Name of the WorkloadEntry; `<service entry>-<position>` for one written into a ServiceEntry.
   */
  readonly name: string;
  readonly namespace: string;
  /** An IP address, a DNS name, or `unix:///path`. */
  readonly address: string;
  /**
   * The port that peers connect to, by the name of the service port; where nothing is said, its
   * targetPort.
   */
  readonly ports: Readonly<Record<string, number>>;
  /**
   * The application's own port by the name of the service port, where a proxy without redirection
   * listens beside it: policies name this one. Where nothing is said it is the same as in `ports`.
   */
  readonly applicationPorts: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  /** '' = not known. */
  readonly serviceAccount: string;
  /** The identity that its certificate carries; undefined when the service account is not known. */
  readonly identity: SpiffeId | undefined;
  /** Whether its proxy takes mutual TLS. */
  readonly mtlsCapable: boolean;
  /** `region/zone/subzone`, '' = not known. */
  readonly locality: string;
  /** Share of the load, at least 1. */
  readonly weight: number;
  /** Of a gateway: what stands before it, where its object says so. */
  readonly gatewayTopology?: GatewayTopology;
}

/**
 * On a WorkloadEntry: `<name>=<port>` for every port of the application, with commas between them.
 */
export const APPLICATION_PORTS = 'bulwark.mesh/application-ports';

/**
 * Label: `istio` = the endpoint takes mutual TLS, anything else = it does not (Istio sets
 * `disabled`).
 */
const TLS_MODE = 'security.istio.io/tlsMode';

/**
 * The workload that a WorkloadEntry describes. Labels of the object win over those of its spec, as
 * in Istio.
 */
export function readWorkloadEntry(object: WorkloadEntry, trustDomain: TrustDomain): Workload {
  const { name, namespace = '', labels, annotations } = object.metadata;
  const spec = { ...object.spec, labels: { ...object.spec.labels, ...labels } };
  const applicationPorts = parsePorts(annotations?.[APPLICATION_PORTS] ?? '');
  return readInstance({ name, namespace, spec, trustDomain, applicationPorts, annotations });
}

/** What `readInstance` needs. */
export interface InstanceSource {
  readonly name: string;
  readonly namespace: string;
  readonly spec: WorkloadEntrySpec;
  readonly trustDomain: TrustDomain;
  readonly applicationPorts: Readonly<Record<string, number>>;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A workload of its parts: for endpoints that are not objects of their own. */
export function readInstance(source: InstanceSource): Workload {
  const { name, namespace, spec, trustDomain, applicationPorts, annotations } = source;
  const written = annotations?.[PROXY_CONFIG];
  const gatewayTopology =
    written === undefined
      ? undefined
      : writtenTopology(readProxyConfig(written, PROXY_CONFIG).config);
  const labels = spec.labels ?? {};
  const serviceAccount = spec.serviceAccount ?? '';
  const mode = labels[TLS_MODE];
  return {
    name,
    namespace,
    address: spec.address ?? '',
    ports: spec.ports ?? {},
    applicationPorts,
    labels,
    serviceAccount,
    identity: identityOf(trustDomain, namespace, serviceAccount),
    mtlsCapable: mode === undefined ? serviceAccount !== '' : mode === 'istio',
    locality: spec.locality ?? '',
    weight: Math.max(1, spec.weight ?? 1),
    ...(gatewayTopology && { gatewayTopology }),
  };
}

/**
 * Undefined too when the names cannot be part of an id: such a workload never gets a certificate.
 */
function identityOf(
  trustDomain: TrustDomain,
  namespace: string,
  serviceAccount: string,
): SpiffeId | undefined {
  if (serviceAccount === '') return undefined;
  try {
    return workloadSpiffeId({ trustDomain, namespace, serviceAccount });
  } catch (error) {
    if (isBulwarkError(error, 'SPIFFE_INVALID')) return undefined;
    throw error;
  }
}

/** Reads `http=8080,grpc=9090`; parts that are not like this say nothing. */
function parsePorts(text: string): Readonly<Record<string, number>> {
  const pairs = text.split(',').map((part) => /^([^=]*)=(\d{1,5})$/.exec(part.trim()));
  return Object.fromEntries(
    pairs.flatMap((pair) => (pair ? [[pair[1] ?? '', Number(pair[2])] as const] : [])),
  );
}
