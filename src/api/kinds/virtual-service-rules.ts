import { isIpAddress } from '#api/address.ts';
import { duplicate, forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import { hostProblem, isHostLabel, wildcardHostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkExportTo } from '#api/kinds/export-to.ts';
import type { VirtualService, VirtualServiceSpec } from '#api/kinds/virtual-service.ts';
import { checkDestination, checkWeights } from '#api/kinds/virtual-service-destination-rules.ts';
import { checkHttpRoute } from '#api/kinds/virtual-service-http-rules.ts';

/** The word for all sidecars among gateways. */
const MESH = 'mesh';
/** TCP and TLS routes name hosts that no proxy acts on yet. */
const NOT_YET = ['tls', 'tcp'] as const;

/** Rules of a VirtualService beyond its schema. */
export function checkVirtualService({ spec = {}, metadata }: VirtualService, report: Report): void {
  const { hosts = [], gateways = [MESH], http = [], tls = [], tcp = [] } = spec;
  const isDelegate = hosts.length === 0;
  if (isDelegate && spec.gateways?.length)
    report(
      forbidden('spec.gateways', 'a VirtualService without hosts is for others to delegate to'),
    );
  checkHosts(spec, report);
  checkGateways(gateways, report);
  if (http.length + tls.length + tcp.length === 0)
    report(required('spec', 'one of http, tls and tcp'));
  for (const [index, route] of http.entries())
    checkHttpRoute(route, `spec.http[${index}]`, { isDelegate }, report);
  for (const kind of NOT_YET) checkPlainRoutes(spec, kind, report);
  checkExportTo(spec.exportTo ?? [], metadata.namespace ?? '', report);
}

function checkHosts(spec: VirtualServiceSpec, report: Report): void {
  const { hosts = [], gateways = [MESH], tls = [] } = spec;
  const isForMesh = gateways.length === 0 || gateways.includes(MESH);
  const seen = new Set<string>();
  for (const [index, host] of hosts.entries()) {
    const field = `spec.hosts[${index}]`;
    if (seen.has(host.toLowerCase())) report(duplicate(field, host));
    seen.add(host.toLowerCase());
    if (isIpAddress(host)) continue;
    if (host === '*' && isForMesh) {
      report(invalid(field, host, 'a route for every host cannot be for all sidecars'));
      continue;
    }
    if (!isForMesh && tls.length > 0 && isClusterName(host)) continue;
    const problem = wildcardHostProblem(host.replaceAll('_', '-'));
    if (problem !== undefined) report(invalid(field, host, problem));
  }
}

/**
 * Whether a server name is one that proxies make for a port of a service, as it passes a gateway:
 * `outbound_.80_.v1_.reviews.default.svc.cluster.local`.
 */
function isClusterName(name: string): boolean {
  const [, port = '', host = ''] = /^outbound_\.(\d{1,5})_\.[^_]*_\.([^_]+)$/.exec(name) ?? [];
  return Number(port) >= 1 && Number(port) <= 65_535 && hostProblem(host) === undefined;
}

function checkGateways(gateways: readonly string[], report: Report): void {
  for (const [index, gateway] of gateways.entries()) {
    const field = `spec.gateways[${index}]`;
    const parts = gateway.split('/');
    const well = parts.length <= 2 && parts.every((part) => part.split('.').every(isHostLabel));
    if (!well) {
      report(invalid(field, gateway, 'must be the name of a gateway, NAMESPACE/NAME, or `mesh`'));
    } else if (gateway !== MESH) {
      report(warning(field, 'gateways are not served yet: nothing is routed there'));
    }
  }
}

function checkPlainRoutes(spec: VirtualServiceSpec, kind: 'tls' | 'tcp', report: Report): void {
  const routes = spec[kind] ?? [];
  if (routes.length > 0)
    report(warning(`spec.${kind}`, `${kind.toUpperCase()} routes are not acted on yet`));
  for (const [index, { route = [] }] of routes.entries()) {
    const field = `spec.${kind}[${index}]`;
    if (route.length === 0) report(required(`${field}.route`));
    for (const [at, { destination }] of route.entries())
      checkDestination(destination, `${field}.route[${at}].destination`, report);
    checkWeights(route, `${field}.route`, report);
  }
  for (const [index, { match = [] }] of (spec.tls ?? []).entries()) {
    if (kind !== 'tls') break;
    for (const [at, { sniHosts }] of match.entries())
      checkServerNames(sniHosts, `spec.tls[${index}].match[${at}].sniHosts`, spec, report);
  }
}

/** Server names of TLS routes must be among the hosts of the object. */
function checkServerNames(
  names: readonly string[],
  field: string,
  { hosts = [] }: VirtualServiceSpec,
  report: Report,
): void {
  if (names.length === 0) report(required(field));
  for (const [index, name] of names.entries()) {
    const at = `${field}[${index}]`;
    const isKnown = isIpAddress(name) || isClusterName(name);
    const problem = isKnown ? undefined : wildcardHostProblem(name.replaceAll('_', '-'));
    if (problem !== undefined) report(invalid(at, name, problem));
    else if (isIpAddress(name)) report(warning(at, 'clients send no IP address as server name'));
    else if (!hosts.some((host) => covers(host, name)))
      report(violates(at, `"${name}" is not within the hosts of the object`));
  }
}

function covers(host: string, name: string): boolean {
  if (!host.startsWith('*')) return host.toLowerCase() === name.toLowerCase();
  return name.toLowerCase().endsWith(host.slice(1).toLowerCase());
}
