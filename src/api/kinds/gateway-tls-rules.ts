import { required, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import type { GatewayServerTls } from '#api/kinds/gateway.ts';

/** Cipher suites of TLS 1.2 that the servers of a gateway may have; others Envoy would refuse. */
export const GATEWAY_CIPHER_SUITES: readonly string[] = [
  ...['ECDSA', 'RSA'].flatMap((key) => [
    `ECDHE-${key}-AES256-GCM-SHA384`,
    `ECDHE-${key}-AES128-GCM-SHA256`,
    `ECDHE-${key}-CHACHA20-POLY1305`,
    `ECDHE-${key}-AES128-SHA`,
    `ECDHE-${key}-AES256-SHA`,
  ]),
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
];

/** Fields that name certificates or keys. */
const CERTIFICATES = [
  'serverCertificate',
  'privateKey',
  'caCertificates',
  'caCrl',
  'credentialName',
  'credentialNames',
  'tlsCertificates',
] as const;

/** Envoy takes one certificate of each kind of key. */
const CERTIFICATES_MAX = 2;

/** Reports what is wrong with the TLS settings of a Gateway's server. */
export function checkGatewayTls(tls: GatewayServerTls, field: string, report: Report): void {
  const { mode = 'PASSTHROUGH', credentialName, credentialNames = [] } = tls;
  checkCiphers(tls, field, report);
  const named = CERTIFICATES.filter((name) => tls[name]?.length);
  if (mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') {
    if (named.length > 0) report(warning(field, `${mode} mode does not use certificates`));
    if (mode === 'AUTO_PASSTHROUGH')
      report(warning(`${field}.mode`, 'AUTO_PASSTHROUGH is not served: nothing is let through'));
    return;
  }
  if (mode === 'ISTIO_MUTUAL') {
    for (const name of named) report(violates(`${field}.${name}`, `cannot go with ${mode}`));
    return;
  }
  checkOneSource(tls, field, report);
  if (tls.caCertCredentialName && tls.caCertificates)
    report(violates(field, 'only one of caCertificates and caCertCredentialName can be set'));
  if (credentialName || credentialNames.length > 0) return;
  checkFiles(tls, mode, field, report);
}

function checkOneSource(tls: GatewayServerTls, field: string, report: Report): void {
  const { credentialNames = [], tlsCertificates = [] } = tls;
  const sources = [
    tls.credentialName,
    credentialNames.length > 0,
    tls.serverCertificate,
    tlsCertificates.length > 0,
  ].filter(Boolean);
  if (sources.length > 1) {
    const rule =
      'only one of credential_name, credential_names, server_certificate with private_key, and ' +
      'tls_certificates can be set';
    report(violates(field, rule));
  }
  for (const name of ['credentialNames', 'tlsCertificates'] as const) {
    if ((tls[name] ?? []).length > CERTIFICATES_MAX)
      report(violates(`${field}.${name}`, `has more than ${CERTIFICATES_MAX} entries`));
  }
}

function checkFiles(tls: GatewayServerTls, mode: string, field: string, report: Report): void {
  const { tlsCertificates = [] } = tls;
  const pairs = tlsCertificates.length > 0 ? tlsCertificates : [tls];
  for (const [index, pair] of pairs.entries()) {
    const at = pair === tls ? field : `${field}.tlsCertificates[${index}]`;
    if (!pair.serverCertificate)
      report(required(`${at}.serverCertificate`, `${mode} TLS needs a server certificate`));
    if (!pair.privateKey)
      report(required(`${at}.privateKey`, `${mode} TLS needs a private key of the server`));
  }
  if (mode !== 'SIMPLE' && !tls.caCertificates && !tls.caCertCredentialName)
    report(required(`${field}.caCertificates`, `${mode} TLS needs a client CA bundle`));
}

function checkCiphers({ cipherSuites = [] }: GatewayServerTls, field: string, report: Report) {
  const seen = new Set<string>();
  for (const [index, suite] of cipherSuites.entries()) {
    const at = `${field}.cipherSuites[${index}]`;
    if (seen.has(suite)) report(warning(at, `${suite} is there twice`));
    else if (!GATEWAY_CIPHER_SUITES.includes(suite))
      report(warning(at, `ignored: ${suite} is none of ${GATEWAY_CIPHER_SUITES.join(', ')}`));
    seen.add(suite);
  }
}
