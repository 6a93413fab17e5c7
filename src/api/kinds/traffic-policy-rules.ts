import { isIpAddress } from '#api/address.ts';
import { checkDuration } from '#api/duration.ts';
import { invalid, required, unsupported, violates, warning } from '#api/field-error.ts';
import { hostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkPort } from '#api/kinds/endpoint-rules.ts';
import { checkLoadBalancer } from '#api/kinds/load-balancer-rules.ts';
import type {
  ClientTls,
  ConnectionPool,
  OutlierDetection,
  PortTrafficPolicy,
  TrafficPolicy,
} from '#api/kinds/traffic-policy.ts';

/** Reports members of `numbers` below 0. */
function checkNotNegative(
  numbers: Readonly<Record<string, unknown>>,
  field: string,
  report: Report,
): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (typeof value === 'number' && value < 0) {
      report(invalid(`${field}.${name}`, value, 'must be greater than or equal to 0'));
    }
  }
}

/** Fields of files, which a credential replaces. */
const FILES = ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'] as const;

/** What TLS can carry as the name of a server. */
const SERVER_NAME = /^[\x21-\x7e]{1,255}$/;

function checkTls(tls: ClientTls, field: string, report: Report): void {
  const { mode = 'DISABLE', credentialName, insecureSkipVerify } = tls;
  const files = FILES.filter((name) => tls[name]);
  if (tls.sni && !SERVER_NAME.test(tls.sni)) {
    report(invalid(`${field}.sni`, tls.sni, 'must be a name of at most 255 printable characters'));
  }
  if (mode === 'ISTIO_MUTUAL' && (credentialName || files.length > 0)) {
    const message = 'ISTIO_MUTUAL uses the mesh identity: files and credentialName have no effect';
    report(warning(field, message));
  }
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return;
  if (insecureSkipVerify) {
    const verifies =
      tls.caCertificates || tls.subjectAltNames || (mode === 'SIMPLE' && credentialName);
    if (verifies) {
      const rule = 'what the server is verified with cannot go with insecureSkipVerify';
      report(violates(field, rule, 'remove insecureSkipVerify'));
    } else {
      report(warning(`${field}.insecureSkipVerify`, 'the server is not verified at all'));
    }
  }
  if (credentialName) {
    if (files.length > 0) {
      report(violates(field, `${files.join(', ')} cannot go with credentialName`));
    }
    return;
  }
  if (mode === 'SIMPLE') return;
  for (const name of ['clientCertificate', 'privateKey'] as const) {
    if (!tls[name]) report(required(`${field}.${name}`, 'MUTUAL needs it, or a credentialName'));
  }
}

function checkConnectionPool(pool: ConnectionPool, field: string, report: Report): void {
  const { tcp, http } = pool;
  if (tcp === undefined && http === undefined) report(required(field, 'must have tcp or http'));
  if (tcp !== undefined) {
    const at = `${field}.tcp`;
    checkNotNegative(tcp, at, report);
    checkDuration(tcp.connectTimeout, `${at}.connectTimeout`, report);
    checkDuration(tcp.maxConnectionDuration, `${at}.maxConnectionDuration`, report);
    checkDuration(tcp.idleTimeout, `${at}.idleTimeout`, report, { zero: true });
    checkDuration(tcp.tcpKeepalive?.time, `${at}.tcpKeepalive.time`, report);
    checkDuration(tcp.tcpKeepalive?.interval, `${at}.tcpKeepalive.interval`, report);
  }
  if (http === undefined) return;
  checkNotNegative(http, `${field}.http`, report);
  checkDuration(http.idleTimeout, `${field}.http.idleTimeout`, report);
  if (http.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol) {
    const rule = 'useClientProtocol keeps the protocol that h2UpgradePolicy UPGRADE would change';
    report(violates(`${field}.http`, rule));
  }
}

function checkOutlierDetection(outlier: OutlierDetection, field: string, report: Report): void {
  checkDuration(outlier.interval, `${field}.interval`, report);
  checkDuration(outlier.baseEjectionTime, `${field}.baseEjectionTime`, report);
  for (const name of ['maxEjectionPercent', 'minHealthPercent'] as const) {
    const percent = outlier[name] ?? 0;
    if (percent < 0 || percent > 100) {
      report(invalid(`${field}.${name}`, percent, 'must be between 0 and 100'));
    }
  }
  const { splitExternalLocalOriginErrors, consecutiveLocalOriginFailures } = outlier;
  if (!splitExternalLocalOriginErrors && (consecutiveLocalOriginFailures ?? 0) > 0) {
    const rule = 'is counted only with splitExternalLocalOriginErrors';
    report(violates(`${field}.consecutiveLocalOriginFailures`, rule));
  }
  if (outlier.consecutiveErrors) {
    const remedy = 'use consecutive5xxErrors or consecutiveGatewayErrors';
    report(warning(`${field}.consecutiveErrors`, 'consecutiveErrors is out of use', remedy));
  }
}

/** The settings that a whole policy and those of one port have in common. */
function checkSettings(policy: PortTrafficPolicy, field: string, report: Report): void {
  const { tls, connectionPool, outlierDetection, loadBalancer } = policy;
  if (tls !== undefined) checkTls(tls, `${field}.tls`, report);
  if (connectionPool !== undefined) {
    checkConnectionPool(connectionPool, `${field}.connectionPool`, report);
  }
  if (outlierDetection !== undefined) {
    checkOutlierDetection(outlierDetection, `${field}.outlierDetection`, report);
  }
  if (loadBalancer !== undefined) {
    const at = `${field}.loadBalancer`;
    checkLoadBalancer(loadBalancer, at, report, {
      outlierDetection: outlierDetection !== undefined,
    });
  }
}

function checkPortPolicy(policy: PortTrafficPolicy, field: string, report: Report): void {
  const { port, ...settings } = policy;
  const number = port?.number;
  if (number === undefined) report(required(`${field}.port.number`));
  else checkPort(number, `${field}.port.number`, report);
  if (Object.keys(settings).length === 0) report(required(field, 'must have at least one setting'));
  checkSettings(policy, field, report);
}

function checkTunnel(
  tunnel: NonNullable<TrafficPolicy['tunnel']>,
  field: string,
  report: Report,
): void {
  const { protocol, targetHost, targetPort } = tunnel;
  if (protocol && protocol !== 'CONNECT' && protocol !== 'POST') {
    report(unsupported(`${field}.protocol`, protocol, ['CONNECT', 'POST']));
  }
  if (!isIpAddress(targetHost) && hostProblem(targetHost) !== undefined) {
    const detail = 'must be an IP address or a DNS name';
    report(invalid(`${field}.targetHost`, targetHost, detail));
  }
  checkPort(targetPort, `${field}.targetPort`, report);
}

/** Reports what is wrong with the traffic policy of a DestinationRule or of a subset. */
export function checkTrafficPolicy(policy: TrafficPolicy, field: string, report: Report): void {
  const { tunnel, proxyProtocol, portLevelSettings } = policy;
  if (Object.keys(policy).length === 0) report(required(field, 'must have at least one setting'));
  if (tunnel !== undefined && proxyProtocol !== undefined) {
    report(violates(field, 'only one of tunnel or proxyProtocol can be set'));
  }
  if (tunnel !== undefined) checkTunnel(tunnel, `${field}.tunnel`, report);
  checkSettings(policy, field, report);
  for (const [index, settings] of (portLevelSettings ?? []).entries()) {
    checkPortPolicy(settings, `${field}.portLevelSettings[${index}]`, report);
  }
}
