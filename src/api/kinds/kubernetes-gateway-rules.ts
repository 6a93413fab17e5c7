import { forbidden, invalid, required, unsupported, warning } from '#api/field-error.ts';
import { GATEWAY_API, type Report } from '#api/kind.ts';
import { checkHostname } from '#api/kinds/gateway-api.ts';
import type { KubernetesGateway, KubernetesListener } from '#api/kinds/kubernetes-gateway.ts';

const PROTOCOLS: readonly string[] = ['HTTP', 'HTTPS', 'TLS', 'TCP', 'UDP'];

/** Rules of a Gateway of the Gateway API beyond its schema. */
export function checkKubernetesGateway(object: KubernetesGateway, report: Report): void {
  const { spec, metadata } = object;
  const places = new Set<string>();
  if (spec.listeners.length === 0) report(required('spec.listeners', 'at least one'));
  if (spec.gatewayClassName === '') report(required('spec.gatewayClassName'));
  const { default: usual, perPort = [] } = spec.tls?.frontend ?? {};
  const own = metadata.namespace ?? '';
  const at = 'spec.tls.frontend';
  checkValidation(usual?.validation, `${at}.default.validation`, own, report);
  for (const [index, { tls }] of perPort.entries())
    checkValidation(tls.validation, `${at}.perPort[${index}].tls.validation`, own, report);
  for (const [index, listener] of spec.listeners.entries()) {
    const field = `spec.listeners[${index}]`;
    const { name, port, protocol, hostname = '' } = listener;
    if (name === '') report(required(`${field}.name`));
    const place = `${port} ${protocol} ${hostname}`;
    if (places.has(place))
      report(invalid(field, name, 'port, protocol and hostname must be unique for each listener'));
    places.add(place);
    checkListener(listener, field, metadata.namespace ?? '', report);
  }
}

type Validation = NonNullable<KubernetesListener['tls']>['frontendValidation'];

function checkValidation(validation: Validation, field: string, own: string, report: Report) {
  if (validation === undefined) return;
  const { mode = 'AllowValidOnly', caCertificateRefs = [] } = validation;
  if (mode !== 'AllowValidOnly')
    report(forbidden(`${field}.mode`, 'callers that prove nothing would be let in'));
  if (caCertificateRefs.length !== 1)
    report(invalid(`${field}.caCertificateRefs`, caCertificateRefs.length, 'must be one'));
  for (const [index, { kind, group, namespace = own }] of caCertificateRefs.entries()) {
    const at = `${field}.caCertificateRefs[${index}]`;
    if (group || kind !== 'ConfigMap') report(unsupported(at, `${kind}.${group}`, ['ConfigMap']));
    if (namespace !== own)
      report(warning(`${at}.namespace`, 'ConfigMaps of other namespaces are not used'));
  }
}

function checkListener(
  listener: KubernetesListener,
  field: string,
  own: string,
  report: Report,
): void {
  const { protocol, hostname, tls, allowedRoutes } = listener;
  if (!PROTOCOLS.includes(protocol) && !protocol.includes('/'))
    report(unsupported(`${field}.protocol`, protocol, PROTOCOLS));
  if ((protocol === 'TCP' || protocol === 'UDP') && hostname !== undefined)
    report(forbidden(`${field}.hostname`, `no hostname can be told on a port of ${protocol}`));
  if (hostname !== undefined) checkHostname(hostname, `${field}.hostname`, report);
  if (protocol !== 'HTTP' && protocol !== 'HTTPS')
    report(warning(`${field}.protocol`, `listeners of ${protocol} are not served`));
  const isSecured = protocol === 'HTTPS' || protocol === 'TLS';
  if (!isSecured && tls !== undefined)
    report(forbidden(`${field}.tls`, `tls cannot go with protocol ${protocol}`));
  if (protocol === 'HTTPS' && tls?.mode === 'Passthrough')
    report(invalid(`${field}.tls.mode`, tls.mode, 'must be Terminate for protocol HTTPS'));
  if (protocol === 'HTTPS' && !tls?.certificateRefs?.length)
    report(required(`${field}.tls.certificateRefs`, 'HTTPS needs a certificate'));
  checkValidation(tls?.frontendValidation, `${field}.tls.frontendValidation`, own, report);
  for (const [index, secret] of (tls?.certificateRefs ?? []).entries()) {
    const at = `${field}.tls.certificateRefs[${index}]`;
    if (secret.group || (secret.kind ?? 'Secret') !== 'Secret')
      report(unsupported(at, `${secret.kind}.${secret.group}`, ['Secret']));
    if (secret.namespace && secret.namespace !== own)
      report(warning(`${at}.namespace`, 'Secrets of other namespaces are not given to gateways'));
  }
  const { from, selector } = allowedRoutes?.namespaces ?? {};
  const at = `${field}.allowedRoutes.namespaces`;
  if (from === 'Selector' && selector === undefined) report(required(`${at}.selector`));
  if (selector?.matchExpressions?.length)
    report(forbidden(`${at}.selector.matchExpressions`, 'only matchLabels are supported'));
  for (const [index, kind] of (allowedRoutes?.kinds ?? []).entries()) {
    if (kind.kind === 'HTTPRoute' && (kind.group ?? GATEWAY_API) === GATEWAY_API) continue;
    report(warning(`${field}.allowedRoutes.kinds[${index}]`, 'only HTTPRoute is served'));
  }
}
