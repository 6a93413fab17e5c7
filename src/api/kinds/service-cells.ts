import type { Service } from '#api/kinds/service.ts';

/** Addresses under which the service is reached from outside, as kubectl shows them. */
export function externalAddresses(service: Service): string {
  const { spec: wanted, status: state } = service;
  if (wanted?.type === 'ExternalName') return wanted.externalName ?? '';
  const given = wanted?.externalIPs ?? [];
  const balanced = (state?.loadBalancer?.ingress ?? []).map((entry) => entry.ip ?? entry.hostname);
  const all = wanted?.type === 'LoadBalancer' ? [...balanced, ...given] : [...given];
  if (all.length > 0) return all.join(',');
  return wanted?.type === 'LoadBalancer' ? '<pending>' : '<none>';
}

/** Ports as kubectl shows them: `80/TCP`, `80:30080/TCP` with a node port. */
export function portsText(service: Service): string {
  const ports = (service.spec?.ports ?? []).map((entry) =>
    entry.nodePort
      ? `${entry.port}:${entry.nodePort}/${entry.protocol ?? 'TCP'}`
      : `${entry.port}/${entry.protocol ?? 'TCP'}`,
  );
  return ports.length === 0 ? '<none>' : ports.join(',');
}

/** Selector as kubectl shows it: `app=a,version=v1`. */
export function selectorText(service: Service): string {
  const pairs = Object.entries(service.spec?.selector ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  return pairs.length === 0 ? '<none>' : pairs.sort().join(',');
}
