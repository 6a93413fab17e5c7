import { isIpAddress, isIpBlock } from '#api/address.ts';
import { duplicate, forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import { hostProblem, wildcardHostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkPort } from '#api/kinds/endpoint-rules.ts';
import { checkExportTo } from '#api/kinds/export-to.ts';
import { checkGatewayNames, MESH } from '#api/kinds/gateway-names.ts';
import type { VirtualService, VirtualServiceSpec } from '#api/kinds/virtual-service.ts';
import { checkDestination, checkWeights } from '#api/kinds/virtual-service-destination-rules.ts';
import { checkHttpRoute } from '#api/kinds/virtual-service-http-rules.ts';
import { checkLabels } from '#api/metadata.ts';

const HOST_LENGTH_MAX = 255;
/** Routes of connections, on which gateways act. */
const PLAIN = ['tls', 'tcp'] as const;

/** Rules of a VirtualService beyond its schema. */
export function checkVirtualService({ spec = {}, metadata }: VirtualService, report: Report): void {
  const { hosts = [], gateways = [MESH], http = [], tls = [], tcp = [] } = spec;
  const isDelegate = hosts.length === 0;
  for (const name of isDelegate ? (['gateways', 'tls', 'tcp'] as const) : []) {
    const detail = 'a VirtualService without hosts is for others to delegate to';
    if (spec[name]?.length) report(forbidden(`spec.${name}`, detail));
  }
  checkHosts(spec, report);
  checkGatewayNames(gateways, 'spec.gateways', report);
  if (http.length + tls.length + tcp.length === 0)
    report(required('spec', 'one of http, tls and tcp'));
  for (const [index, route] of http.entries())
    checkHttpRoute(route, `spec.http[${index}]`, { isDelegate, isForMesh: forMesh(spec) }, report);
  for (const kind of PLAIN) checkPlainRoutes(spec, kind, report);
  checkExportTo(spec.exportTo ?? [], metadata.namespace ?? '', report);
}

/** Whether sidecars have the routes. */
function forMesh({ gateways = [] }: VirtualServiceSpec): boolean {
  return gateways.length === 0 || gateways.includes(MESH);
}

function checkHosts(spec: VirtualServiceSpec, report: Report): void {
  const { hosts = [], tls = [] } = spec;
  const isForMesh = forMesh(spec);
  checkHostsOnce(hosts, report);
  for (const [index, host] of hosts.entries()) {
    const field = `spec.hosts[${index}]`;
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

/** Reports hosts that are there twice, or within a wildcard that is there. */
function checkHostsOnce(hosts: readonly string[], report: Report): void {
  const names = hosts.map((host) => host.toLowerCase().slice(0, HOST_LENGTH_MAX));
  const first = new Map<string, number>();
  for (const [index, name] of names.entries()) if (!first.has(name)) first.set(name, index);
  for (const [index, name] of names.entries()) {
    const rest = name.replace(/^\*/, '');
    // Every wildcard that can cover it is looked up: comparing each with each takes too long.
    const covering = Array.from(rest, (_letter, at) => `*${rest.slice(at)}`);
    const others = [name, ...covering, '*'].map((other) => first.get(other) ?? index);
    if (others.some((other) => other !== index))
      report(duplicate(`spec.hosts[${index}]`, hosts[index]));
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

function checkPlainRoutes(spec: VirtualServiceSpec, kind: 'tls' | 'tcp', report: Report): void {
  const routes = spec[kind] ?? [];
  if (routes.length > 0 && forMesh(spec))
    report(warning(`spec.${kind}`, `${kind.toUpperCase()} routes count at gateways only`));
  for (const [index, { route = [] }] of routes.entries()) {
    const field = `spec.${kind}[${index}]`;
    if (route.length === 0) report(required(`${field}.route`));
    for (const [at, { destination }] of route.entries())
      checkDestination(destination, `${field}.route[${at}].destination`, report);
    checkWeights(route, `${field}.route`, report);
  }
  for (const [index, { match = [] }] of routes.entries()) {
    const field = `spec.${kind}[${index}].match`;
    if (kind === 'tls' && match.length === 0) report(required(field));
    for (const [at, one] of match.entries()) checkPlainMatch(one, `${field}[${at}]`, report);
  }
  for (const [index, { match = [] }] of (kind === 'tls' ? (spec.tls ?? []) : []).entries()) {
    for (const [at, { sniHosts }] of match.entries())
      checkServerNames(sniHosts, `spec.tls[${index}].match[${at}].sniHosts`, spec, report);
  }
}

type PlainMatch = NonNullable<NonNullable<VirtualServiceSpec['tcp']>[number]['match']>[number];

/** Conditions on connections. */
function checkPlainMatch(match: PlainMatch, field: string, report: Report): void {
  const { destinationSubnets = [], port = 0, sourceLabels = {}, gateways = [] } = match;
  for (const [index, subnet] of destinationSubnets.entries()) {
    const detail = 'must be an IP address or a CIDR block';
    if (!isIpBlock(subnet))
      report(invalid(`${field}.destinationSubnets[${index}]`, subnet, detail));
  }
  if (port !== 0) checkPort(port, `${field}.port`, report);
  checkLabels(sourceLabels, `${field}.sourceLabels`, report);
  checkGatewayNames(gateways, `${field}.gateways`, report);
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
