import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import type { AddressSchema } from '#gen/envoy-api/envoy/config/core/v3/address_pb.js';
import type { HealthCheckSchema } from '#gen/envoy-api/envoy/config/core/v3/health_check_pb.js';
import type { EndpointSchema } from '#gen/envoy-api/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { duration, type Init } from '#xds/generate/proto-values.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/**
 * The policy of a port whose open connections end when it changes. Plain JSON values: it is a cache
 * key.
 */
export interface HeldPolicyInput {
  /** The unix socket of the agent (HeldPorts). */
  readonly socket: string;
  readonly port: number;
  /** TcpHandling.tcpPolicy. */
  readonly tcpPolicy: string;
}

/** To reach the agent, on the same machine. */
const CONNECT_MS_MAX = 1000;
/** An agent that is busy is no reason to end connections. */
const ANSWER_MS_MAX = 30_000;
/** After its connection ended the agent is asked again; nobody is in a hurry where nobody came. */
const AGAIN_MS = { used: 20, unused: 250 };
/** While all is well nobody needs to ask: that a connection ends is noticed. */
const IDLE_MS = 24 * 3_600_000;

/**
 * A check that holds for as long as the agent keeps a connection, on which `said` was said. When it
 * ends, Envoy asks again.
 */
function heldBy(said: string): Init<typeof HealthCheckSchema> {
  const payload = (text: string) => ({
    payload: { case: 'text' as const, value: Buffer.from(`${text}\n`).toString('hex') },
  });
  return {
    timeout: duration(ANSWER_MS_MAX),
    interval: duration(IDLE_MS),
    healthyEdgeInterval: duration(IDLE_MS),
    noTrafficHealthyInterval: duration(IDLE_MS),
    unhealthyEdgeInterval: duration(AGAIN_MS.used),
    unhealthyInterval: duration(AGAIN_MS.used),
    noTrafficInterval: duration(AGAIN_MS.unused),
    unhealthyThreshold: 1,
    healthyThreshold: 1,
    reuseConnection: true,
    healthChecker: {
      case: 'tcpHealthCheck',
      value: { send: payload(said), receive: [payload('ok')] },
    },
  };
}

/** Where the connections of a port go on. */
interface HeldEndpoint {
  /** The cluster. */
  readonly name: string;
  readonly port: number;
  readonly address: NonNullable<Init<typeof EndpointSchema>['address']>;
  /** The unix socket of the agent that ends its TCP connections; undefined = nobody does. */
  readonly holdSocket: string | undefined;
}

/**
 * What a cluster with this one endpoint says: with an agent that holds the port, the check goes to
 * its socket instead of to the endpoint, and connections end with it.
 */
export function heldEndpoint(held: HeldEndpoint): Init<typeof ClusterSchema> {
  const { name, port, address, holdSocket } = held;
  const isHeld = holdSocket !== undefined && {
    healthChecks: [heldBy(`port ${port}`)],
    closeConnectionsOnHostHealthFailure: true,
  };
  const checked = holdSocket !== undefined && {
    healthCheckConfig: { address: pipe(holdSocket) },
  };
  return {
    ...isHeld,
    ...oneEndpoint(name, { address, ...checked }),
  };
}

function pipe(path: string): Init<typeof AddressSchema> {
  return { address: { case: 'pipe', value: { path } } };
}

function oneEndpoint(
  clusterName: string,
  value: Init<typeof EndpointSchema>,
): Init<typeof ClusterSchema> {
  return {
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value } }] }],
    },
  };
}

/**
 * A cluster that nothing leads to. While it is there the agent is told that this policy of the port
 * is in force. Clusters are removed last, so it goes when the next policy is in force, and then the
 * agent ends the connections to the port.
 */
export function buildHeldPolicy({ socket, port, tcpPolicy }: HeldPolicyInput): XdsResource {
  const version = createHash('sha256').update(tcpPolicy).digest('base64url').slice(0, 16);
  const name = `policy|${port}|${version}`;
  const cluster: Init<typeof ClusterSchema> = {
    name,
    connectTimeout: duration(CONNECT_MS_MAX),
    healthChecks: [heldBy(`policy ${port} ${version}`)],
    ...oneEndpoint(name, { address: pipe(socket) }),
  };
  return encodeResource(TYPE_URL.cluster, name, ClusterSchema, create(ClusterSchema, cluster));
}
