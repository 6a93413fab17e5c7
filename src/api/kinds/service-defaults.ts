import type { Service, ServicePort, ServiceSpec } from '#api/kinds/service.ts';

/** Seconds that a caller keeps reaching the same workload (Kubernetes: three hours). */
const AFFINITY_SECONDS = 10_800;

function fillPort(port: ServicePort): ServicePort {
  const { protocol = 'TCP', targetPort } = port;
  return { ...port, protocol, targetPort: targetPort || port.port };
}

/**
 * A Service with what Kubernetes fills in at creation, except addresses and address families: those
 * are for the server to give.
 */
export function fillService(service: Service): Service {
  const given = service.spec ?? {};
  const type = given.type ?? 'ClusterIP';
  const sessionAffinity = given.sessionAffinity ?? 'None';
  const outside = type === 'NodePort' || type === 'LoadBalancer';
  const spec: ServiceSpec = {
    ...(type === 'ExternalName' ? {} : { internalTrafficPolicy: 'Cluster' as const }),
    ...(outside ? { externalTrafficPolicy: 'Cluster' as const } : {}),
    ...(type === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: true } : {}),
    ...(sessionAffinity === 'ClientIP'
      ? { sessionAffinityConfig: { clientIP: { timeoutSeconds: AFFINITY_SECONDS } } }
      : {}),
    ...given,
    type,
    sessionAffinity,
    ...(given.ports === undefined ? {} : { ports: given.ports.map((port) => fillPort(port)) }),
  };
  return { ...service, spec };
}
