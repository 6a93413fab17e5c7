import { isIpAddress } from '#api/address.ts';
import { forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import { hostProblem, isHostLabel } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import type { WorkloadEntrySpec } from '#api/kinds/workload-entry.ts';
import { checkLabels } from '#api/metadata.ts';

const UNIX = 'unix://';

/** Reports a port that is out of range. */
export function checkPort(port: number, field: string, report: Report): void {
  if (port >= 1 && port <= 65_535) return;
  report(invalid(field, port, 'port must be between 1-65535'));
}

/** Whether the endpoint is a socket file. */
function isUnixEndpoint(entry: WorkloadEntrySpec): boolean {
  return entry.address?.startsWith(UNIX) ?? false;
}

/** Reports what is wrong with an endpoint whatever it is used for: socket path, ports, labels. */
export function checkEndpoint(entry: WorkloadEntrySpec, field: string, report: Report): void {
  const { address = '', ports } = entry;
  if (isUnixEndpoint(entry)) {
    const path = address.slice(UNIX.length);
    if (!/^[/@]/.test(path)) {
      const detail = 'UDS must be an absolute path or abstract socket';
      report(invalid(`${field}.address`, address, detail));
    } else if (path.endsWith('/')) {
      report(invalid(`${field}.address`, address, 'UDS may not be a dir'));
    }
    if (ports !== undefined) report(violates(field, 'UDS may not include ports'));
  }
  for (const [name, port] of Object.entries(ports ?? {})) {
    if (!isHostLabel(name)) report(invalid(`${field}.ports`, name, 'port name must be valid'));
    checkPort(port, `${field}.ports[${name}]`, report);
  }
  checkLabels(entry.labels ?? {}, `${field}.labels`, report);
}

/** What a ServiceEntry asks of its endpoints. */
export interface EndpointUse {
  /** Names of the service's ports: an endpoint may name no others. */
  readonly servicePorts: ReadonlySet<string>;
  /** Whether the address may be a DNS name. */
  readonly dnsNames: boolean;
}

/**
 * Reports what is wrong with an instance of a workload: a WorkloadEntry, or an endpoint of a
 * ServiceEntry.
 */
export function checkWorkloadEntry(
  entry: WorkloadEntrySpec,
  field: string,
  report: Report,
  use?: EndpointUse,
): void {
  const { address = '', network } = entry;
  checkEndpoint(entry, field, report);
  if (address === '') {
    if (!network) report(required(`${field}.address`, 'Address is required'));
    else report(warning(`${field}.address`, `no address in the network "${network}"`));
  } else if (!isUnixEndpoint(entry) && !isIpAddress(address)) {
    if (use?.dnsNames === false) {
      const remedy = 'set the resolution to DNS, or write an IP address';
      report(invalid(`${field}.address`, address, 'must be an IP address', remedy));
    } else if (hostProblem(address) !== undefined) {
      report(invalid(`${field}.address`, address, 'must be an IP address or a DNS name'));
    }
  }
  if (use !== undefined) checkUse(entry, field, use, report);
}

function checkUse(entry: WorkloadEntrySpec, field: string, use: EndpointUse, report: Report): void {
  for (const name of Object.keys(entry.ports ?? {})) {
    if (use.servicePorts.has(name)) continue;
    report(forbidden(`${field}.ports[${name}]`, 'the service has no port of this name'));
  }
  if (isUnixEndpoint(entry) && use.servicePorts.size !== 1) {
    report(violates(field, 'a socket serves a service with exactly one port'));
  }
}
