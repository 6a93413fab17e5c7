import { isIpBlock } from '#api/address.ts';
import { forbidden, invalid, unsupported, violates, warning } from '#api/field-error.ts';
import { hostProblem, isHostLabel, wildcardHostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkPort, checkWorkloadEntry } from '#api/kinds/endpoint-rules.ts';
import { checkExportTo } from '#api/kinds/export-to.ts';
import type { ServiceEntry, ServiceEntrySpec } from '#api/kinds/service-entry.ts';
import { checkSelectorLabels } from '#api/kinds/workload-target.ts';

/**
 * Protocols of a port, in Istio's words, and how a proxy tells the services behind one port apart.
 */
const PROTOCOLS: Readonly<Record<string, 'http' | 'tls' | 'address'>> = {
  HTTP: 'http',
  HTTP2: 'http',
  HTTP_PROXY: 'http',
  GRPC: 'http',
  'GRPC-WEB': 'http',
  HTTPS: 'tls',
  TLS: 'tls',
  TCP: 'address',
  UDP: 'address',
  MONGO: 'address',
  REDIS: 'address',
  MYSQL: 'address',
  HBONE: 'address',
};

/**
 * How the service behind a port is told apart; undefined where the protocol is not declared or
 * unknown.
 */
function toldBy(protocol: string | undefined): 'http' | 'tls' | 'address' | undefined {
  const word = (protocol ?? '').toUpperCase();
  return Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : undefined;
}

function checkHosts(hosts: readonly string[], report: Report): void {
  for (const [index, host] of hosts.entries()) {
    const field = `spec.hosts[${index}]`;
    const problem = host === '*' ? 'hostname cannot be wildcard' : wildcardHostProblem(host);
    if (problem !== undefined) report(invalid(field, host, problem));
    else if (host.includes('*') && !host.startsWith('*.')) {
      report(warning(field, `the wildcard of "${host}" does not stand for whole labels`));
    }
  }
}

function checkAddresses(spec: ServiceEntrySpec, report: Report): void {
  const { addresses = [], resolution = 'NONE' } = spec;
  for (const [index, address] of addresses.entries()) {
    if (isIpBlock(address)) continue;
    const detail = 'must be an IP address or a CIDR block';
    report(invalid(`spec.addresses[${index}]`, address, detail));
  }
  const blocks = addresses.some((address) => address.includes('/'));
  if (blocks && resolution !== 'NONE' && resolution !== 'STATIC') {
    report(violates('spec', 'CIDR addresses are allowed only for NONE/STATIC resolution types'));
  }
}

function checkPorts(spec: ServiceEntrySpec, report: Report): void {
  const { ports = [], resolution = 'NONE', addresses = [], hosts } = spec;
  const numbers = new Set<number>();
  // Only names that can be resolved get an address of their own.
  const addressed = addresses.length > 0 || (resolution !== 'NONE' && !hosts.some(isWildcard));
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    checkPort(port.number, `${field}.number`, report);
    if (numbers.has(port.number)) {
      report(invalid(`${field}.number`, port.number, 'port number cannot be duplicated'));
    }
    numbers.add(port.number);
    if (!isHostLabel(port.name)) {
      report(invalid(`${field}.name`, port.name, 'must be a DNS label'));
    }
    if (port.protocol && toldBy(port.protocol) === undefined) {
      report(unsupported(`${field}.protocol`, port.protocol, Object.keys(PROTOCOLS)));
    }
    if (port.targetPort !== undefined) {
      checkPort(port.targetPort, `${field}.targetPort`, report);
      if (resolution === 'NONE') {
        report(warning(`${field}.targetPort`, 'targetPort has no effect with resolution NONE'));
      }
    }
    if (!addressed && (!port.protocol || port.protocol === 'TCP')) {
      const message = 'without addresses a TCP port takes the traffic of every address';
      report(warning(`${field}.protocol`, message, 'add `addresses`, or name the protocol'));
    }
  }
}

function isWildcard(host: string): boolean {
  return host.startsWith('*');
}

function checkEndpoints(spec: ServiceEntrySpec, report: Report): void {
  const { endpoints = [], resolution = 'NONE', ports = [] } = spec;
  const use = {
    servicePorts: new Set(ports.map((port) => port.name)),
    dnsNames: resolution !== 'STATIC',
  };
  for (const [index, endpoint] of endpoints.entries()) {
    checkWorkloadEntry(endpoint, `spec.endpoints[${index}]`, report, use);
  }
}

/** What goes with which resolution. */
function checkResolution(spec: ServiceEntrySpec, report: Report): void {
  const { resolution = 'NONE', endpoints, workloadSelector, addresses, hosts, ports = [] } = spec;
  if (resolution === 'NONE') {
    if (endpoints !== undefined) report(violates('spec', 'NONE mode cannot set endpoints'));
    if (workloadSelector !== undefined) {
      const message = 'the selected workloads are not used with resolution NONE';
      report(warning('spec.workloadSelector', message, 'set the resolution to STATIC'));
    }
  }
  if (resolution === 'DNS_ROUND_ROBIN' && (endpoints?.length ?? 0) > 1) {
    report(violates('spec', 'DNS_ROUND_ROBIN mode cannot have multiple endpoints'));
  }
  if (resolution.startsWith('DNS') && !endpoints?.length) {
    for (const [index, host] of hosts.entries()) {
      if (hostProblem(host) === undefined) continue;
      const detail = `must be a name without wildcards: resolution ${resolution} has no endpoints`;
      report(invalid(`spec.hosts[${index}]`, host, detail));
    }
  }
  if (resolution !== 'DYNAMIC_DNS') return;
  const held = { endpoints, workloadSelector, addresses };
  for (const [name, value] of Object.entries(held)) {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    report(forbidden(`spec.${name}`, 'endpoints are found by the name that the caller asks for'));
  }
  for (const [index, port] of ports.entries()) {
    if (toldBy(port.protocol) !== 'address' && port.protocol) continue;
    const detail = 'resolution DYNAMIC_DNS needs a protocol that carries the name: HTTP or TLS';
    report(invalid(`spec.ports[${index}].protocol`, port.protocol ?? '', detail));
  }
}

/** Several names behind one port can be told apart only by HTTP's host or TLS' server name. */
function checkSeveralHosts(spec: ServiceEntrySpec, report: Report): void {
  const { hosts, resolution = 'NONE', ports = [], addresses = [] } = spec;
  if (hosts.length < 2 || resolution === 'NONE') return;
  for (const [index, port] of ports.entries()) {
    const how = toldBy(port.protocol);
    const field = `spec.ports[${index}].protocol`;
    if (how !== 'http' && how !== 'tls') {
      const detail = 'with several hosts a port must be HTTP or TLS, else they look the same';
      report(invalid(field, port.protocol ?? '', detail));
    } else if (how === 'tls' && addresses.length > 0 && resolution.startsWith('DNS')) {
      report(warning(field, 'with addresses, a port of several hosts leads to one of them only'));
    }
  }
}

/** Rules of a ServiceEntry beyond its schema. */
export function checkServiceEntry(object: ServiceEntry, report: Report): void {
  const { spec } = object;
  checkHosts(spec.hosts, report);
  checkAddresses(spec, report);
  checkPorts(spec, report);
  checkEndpoints(spec, report);
  checkResolution(spec, report);
  checkSeveralHosts(spec, report);
  checkExportTo(spec.exportTo ?? [], object.metadata.namespace ?? '', report, { nobody: true });
  const labels = spec.workloadSelector?.labels;
  if (spec.workloadSelector === undefined) return;
  if (spec.endpoints !== undefined) {
    report(violates('spec', 'only one of WorkloadSelector or Endpoints can be set'));
  }
  checkSelectorLabels(labels ?? {}, 'spec.workloadSelector.labels', report);
  if (Object.keys(labels ?? {}).length === 0) {
    const message = 'a selector without labels takes every workload of the namespace';
    report(warning('spec.workloadSelector', message));
  }
}
