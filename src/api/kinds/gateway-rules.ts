import { isIpAddress } from '#api/address.ts';
import { duplicate, invalid, required, unsupported, violates, warning } from '#api/field-error.ts';
import { isHostLabel, wildcardHostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkPort } from '#api/kinds/endpoint-rules.ts';
import type { Gateway, GatewayServer } from '#api/kinds/gateway.ts';
import { checkGatewayTls } from '#api/kinds/gateway-tls-rules.ts';
import { checkSelectorLabels } from '#api/kinds/workload-target.ts';

/** Protocols of a gateway’s port, in Istio’s words, and how they are told apart. */
const PROTOCOLS: Readonly<Record<string, 'http' | 'tls' | 'tcp'>> = {
  HTTP: 'http',
  HTTP2: 'http',
  HTTP_PROXY: 'http',
  GRPC: 'http',
  'GRPC-WEB': 'http',
  HTTPS: 'tls',
  TLS: 'tls',
  TCP: 'tcp',
  MONGO: 'tcp',
  REDIS: 'tcp',
  MYSQL: 'tcp',
};

/** Words for every namespace, and for that of the Gateway. */
const NAMESPACE_WORDS: readonly string[] = ['*', '.'];

/** Rules of a Gateway beyond its schema. */
export function checkGateway({ metadata, spec = {} }: Gateway, report: Report): void {
  const { selector = {}, servers = [] } = spec;
  if (!isHostLabel(metadata.name))
    report(invalid('metadata.name', metadata.name, 'a gateway name must be one DNS label'));
  if (Object.keys(selector).length === 0)
    report(warning('spec.selector', 'without labels every workload that is a gateway is meant'));
  checkSelectorLabels(selector, 'spec.selector', report);
  if (servers.length === 0) report(required('spec.servers', 'a gateway has at least one server'));
  const names = new Set<string>();
  for (const [index, server] of servers.entries()) {
    const field = `spec.servers[${index}]`;
    checkServer(server, field, report);
    const { name } = server.port;
    if (names.has(name)) report(duplicate(`${field}.port.name`, name));
    names.add(name);
  }
}

function checkServer(server: GatewayServer, field: string, report: Report): void {
  const { port, bind = '', hosts, tls } = server;
  const word = port.protocol.toUpperCase();
  const toldBy = Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : undefined;
  if (toldBy === undefined)
    report(unsupported(`${field}.port.protocol`, port.protocol, Object.keys(PROTOCOLS)));
  if (port.name === '') report(required(`${field}.port.name`));
  checkPort(port.number, `${field}.port.number`, report);
  if (bind !== '' && !isIpAddress(bind))
    report(invalid(`${field}.bind`, bind, 'must be an IP address'));
  if (hosts.length === 0) report(required(`${field}.hosts`));
  for (const [index, host] of hosts.entries()) checkHost(host, `${field}.hosts[${index}]`, report);
  if (server.defaultEndpoint)
    report(warning(`${field}.defaultEndpoint`, 'is not used: routes say where requests go'));
  if (toldBy === 'tls' && tls === undefined)
    report(required(`${field}.tls`, `${word} needs settings of TLS`));
  if (tls === undefined) return;
  const { httpsRedirect: _, ...secured } = tls;
  if (toldBy !== 'tls' && toldBy !== undefined && Object.keys(secured).length > 0)
    report(violates(`${field}.tls`, `a server cannot have TLS settings on a port of ${word}`));
  checkGatewayTls(tls, `${field}.tls`, report);
}

/** `host`, or `namespace/host`. */
function checkHost(written: string, field: string, report: Report): void {
  const [first = '', second, ...rest] = written.split('/');
  if (rest.length > 0) {
    report(invalid(field, written, 'must be HOST or NAMESPACE/HOST'));
    return;
  }
  if (second !== undefined && !NAMESPACE_WORDS.includes(first) && !isHostLabel(first)) {
    const detail = 'invalid namespace value: must be a namespace, `.` (its own) or `*` (all)';
    report(invalid(field, written, detail));
  }
  const host = second ?? first;
  const problem = isIpAddress(host) ? undefined : wildcardHostProblem(host);
  if (problem !== undefined) report(invalid(field, written, problem));
}
