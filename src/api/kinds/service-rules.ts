import { isIpAddress, isIpBlock } from '#api/address.ts';
import { duplicate, forbidden, invalid, required } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import type { Service, ServicePort, ServiceSpec } from '#api/kinds/service.ts';
import { checkLabels } from '#api/metadata.ts';
import { labelProblems, qualifiedNameProblems, subdomainProblems } from '#api/names.ts';

const PORT_RANGE = 'must be between 1 and 65535, inclusive';
/** Bound of the session affinity: a day. */
const AFFINITY_SECONDS_MAX = 86_400;
/** Name of a port of a workload (RFC 6335): up to 15 of a-z, 0-9 and `-`, with a letter. */
const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

function checkNumber(port: number, field: string, report: Report): void {
  if (port < 1 || port > 65_535) report(invalid(field, port, PORT_RANGE));
}

function checkTargetPort(target: number | string, field: string, report: Report): void {
  if (typeof target === 'number') checkNumber(target, field, report);
  else if (!PORT_NAME.test(target)) {
    const detail = 'must be the name of a port: at most 15 of a-z, 0-9 and -, with a letter';
    report(invalid(field, target, detail));
  }
}

function checkPort(port: ServicePort, field: string, spec: ServiceSpec, report: Report): void {
  checkNumber(port.port, `${field}.port`, report);
  if (port.name) {
    for (const problem of labelProblems(port.name)) {
      report(invalid(`${field}.name`, port.name, problem));
    }
  } else if ((spec.ports?.length ?? 0) > 1) report(required(`${field}.name`));
  if (port.targetPort !== undefined && port.targetPort !== 0 && port.targetPort !== '') {
    checkTargetPort(port.targetPort, `${field}.targetPort`, report);
  }
  if (port.appProtocol) {
    for (const problem of qualifiedNameProblems(port.appProtocol)) {
      report(invalid(`${field}.appProtocol`, port.appProtocol, problem));
    }
  }
  const { type = 'ClusterIP' } = spec;
  if (!port.nodePort) return;
  checkNumber(port.nodePort, `${field}.nodePort`, report);
  if (type === 'ClusterIP' || type === 'ExternalName') {
    report(forbidden(`${field}.nodePort`, `may not be used when \`type\` is '${type}'`));
  }
}

function checkPorts(spec: ServiceSpec, report: Report): void {
  const { ports = [], type, clusterIP } = spec;
  if (ports.length === 0 && type !== 'ExternalName' && clusterIP !== 'None') {
    report(required('spec.ports'));
  }
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    checkPort(port, field, spec, report);
    if (port.name && names.has(port.name)) report(duplicate(`${field}.name`, port.name));
    if (port.name) names.add(port.name);
  }
}

function checkAddresses(spec: ServiceSpec, report: Report): void {
  const { clusterIP, clusterIPs = [], externalIPs = [], loadBalancerSourceRanges = [] } = spec;
  if (clusterIP && clusterIP !== 'None' && !isIpAddress(clusterIP)) {
    report(invalid('spec.clusterIP', clusterIP, 'must be empty, `None`, or a valid IP address'));
  }
  if (clusterIPs.length > 0 && clusterIPs[0] !== (clusterIP ?? '')) {
    const detail = 'first value must match `clusterIP`';
    report(invalid('spec.clusterIPs', clusterIPs, detail));
  }
  for (const [index, address] of externalIPs.entries()) {
    if (isIpAddress(address)) continue;
    report(invalid(`spec.externalIPs[${index}]`, address, 'must be a valid IP address'));
  }
  for (const [index, block] of loadBalancerSourceRanges.entries()) {
    if (block.includes('/') && isIpBlock(block)) continue;
    report(invalid(`spec.loadBalancerSourceRanges[${index}]`, block, 'must be a CIDR block'));
  }
}

function checkType(spec: ServiceSpec, report: Report): void {
  const { type, externalName, clusterIP } = spec;
  if (type !== 'ExternalName') {
    if (type === undefined || type === 'ClusterIP' || clusterIP !== 'None') return;
    report(invalid('spec.clusterIP', clusterIP, `may not be 'None' when \`type\` is '${type}'`));
    return;
  }
  if (clusterIP) {
    report(forbidden('spec.clusterIP', "may not be set when `type` is 'ExternalName'"));
  }
  if (!externalName) {
    report(required('spec.externalName'));
    return;
  }
  const name = externalName.endsWith('.') ? externalName.slice(0, -1) : externalName;
  for (const problem of subdomainProblems(name)) {
    report(invalid('spec.externalName', externalName, problem));
  }
}

/** Rules of a Service beyond its schema. */
export function checkService(service: Service, report: Report): void {
  const { spec } = service;
  if (spec === undefined) {
    report(required('spec.ports'));
    return;
  }
  checkType(spec, report);
  checkPorts(spec, report);
  checkAddresses(spec, report);
  checkLabels(spec.selector ?? {}, 'spec.selector', report);
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  const field = 'spec.sessionAffinityConfig';
  if (spec.sessionAffinityConfig !== undefined && spec.sessionAffinity !== 'ClientIP') {
    report(forbidden(field, "must not be set when session affinity is not 'ClientIP'"));
  }
  if (seconds !== undefined && (seconds < 1 || seconds > AFFINITY_SECONDS_MAX)) {
    const detail = `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`;
    report(invalid(`${field}.clientIP.timeoutSeconds`, seconds, detail));
  }
}

/** The address of a Service stays while it has one: connections and DNS answers rely on it. */
export function checkServiceChange(before: Service, after: Service, report: Report): void {
  const had = before.spec?.clusterIP;
  const has = after.spec?.clusterIP;
  const stays = [before, after].every((service) => service.spec?.type !== 'ExternalName');
  // Left out = kept; the server fills it in.
  if (!stays || !had || !has || had === has) return;
  report(invalid('spec.clusterIP', has, 'field is immutable'));
}
