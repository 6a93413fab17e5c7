import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { type Address, AddressSchema } from '#gen/envoy-api/envoy/config/core/v3/address_pb.js';
import {
  type LbEndpoint,
  LbEndpointSchema,
} from '#gen/envoy-api/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { ClusterLoadAssignmentSchema } from '#gen/envoy-api/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Endpoint } from '#model/endpoint.ts';
import { mtlsMetadata } from '#xds/generate/outbound-cluster.ts';
import { socketAddress } from '#xds/generate/proto-values.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/**
 * An endpoint, and whether connections to it are to be mutual TLS where that is decided for each
 * endpoint.
 */
export interface AssignedEndpoint {
  readonly endpoint: Endpoint;
  readonly mtls: boolean;
}

/**
 * The endpoints of a cluster, by locality. An endpoint whose address is a DNS name is left out:
 * Envoy takes only addresses here.
 */
export function buildEndpointAssignment(
  clusterName: string,
  endpoints: readonly AssignedEndpoint[],
): XdsResource {
  const reachable = endpoints.filter(({ endpoint }) => addressOf(endpoint) !== undefined);
  const byLocality = Map.groupBy(reachable, ({ endpoint }) => endpoint.workload.locality);
  const localities = [...byLocality].sort(([a], [b]) => (a < b ? -1 : 1));
  const message = create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: localities.map(([locality, members]) => ({
      ...(locality !== '' && { locality: localityOf(locality) }),
      loadBalancingWeight: members.reduce((sum, { endpoint }) => sum + endpoint.workload.weight, 0),
      lbEndpoints: members.map(lbEndpoint),
    })),
  });
  return encodeResource(TYPE_URL.endpoints, clusterName, ClusterLoadAssignmentSchema, message);
}

function lbEndpoint({ endpoint, mtls }: AssignedEndpoint): LbEndpoint {
  const address = addressOf(endpoint);
  return create(LbEndpointSchema, {
    hostIdentifier: { case: 'endpoint', value: { ...(address && { address }) } },
    loadBalancingWeight: endpoint.workload.weight,
    ...(mtls && { metadata: mtlsMetadata() }),
  });
}

function addressOf({ workload, port }: Endpoint): Address | undefined {
  const { address } = workload;
  if (address.startsWith('unix://'))
    return create(AddressSchema, {
      address: { case: 'pipe', value: { path: address.slice('unix://'.length) } },
    });
  return isIP(address) === 0 ? undefined : socketAddress(address, port);
}

function localityOf(text: string) {
  const [region = '', zone = '', ...subZone] = text.split('/');
  return { region, zone, subZone: subZone.join('/') };
}
