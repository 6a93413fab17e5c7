import { isOwnCertificate } from '#policy/tls/credential-name.ts';

/** `tls` of a server of a Gateway, as far as it ends TLS (Istio, "ServerTLSSettings"). */
export interface ServerTls {
  readonly mode?: 'SIMPLE' | 'MUTUAL' | 'OPTIONAL_MUTUAL' | 'ISTIO_MUTUAL';
  readonly credentialName?: string;
  readonly credentialNames?: readonly string[];
  /** Secret with the authorities that callers are verified with, in place of the credential's. */
  readonly caCertCredentialName?: string;
  readonly serverCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly caCrl?: string;
  readonly tlsCertificates?: readonly ServerCertificate[];
  readonly subjectAltNames?: readonly string[];
}

interface ServerCertificate {
  readonly serverCertificate?: string;
  readonly privateKey?: string;
}

/** Files on the gateway's machine. */
interface FilePair {
  readonly certificate: string;
  readonly privateKey: string;
}

/** How the server of a gateway proves itself, and whom it lets in. */
export interface GatewayTls {
  readonly certificates: /** The gateway's own identity in the mesh. */
    | { readonly from: 'workload' }
    | { readonly from: 'secrets'; readonly names: readonly string[] }
    | { readonly from: 'files'; readonly pairs: readonly FilePair[] };
  /** What callers are verified with. */
  readonly callers:
    | { readonly by: 'nothing' }
    | { readonly by: 'mesh' }
    | { readonly by: 'secret'; readonly name: string }
    | { readonly by: 'file'; readonly path: string };
  readonly callersProveThemselves: boolean;
  /** Names of which a caller's certificate must carry one; empty = any. */
  readonly subjectAltNames: readonly string[];
  /** File with a revocation list. */
  readonly caCrl: string | undefined;
}

/**
 * What the TLS settings of a Gateway's server mean. Secrets come before files; where nothing is
 * named, and with ISTIO_MUTUAL always, the gateway's own identity is shown.
 */
export function gatewayTls(tls: ServerTls): GatewayTls {
  const { mode = 'SIMPLE', subjectAltNames = [] } = tls;
  const common = { subjectAltNames, caCrl: tls.caCrl || undefined };
  const asksCallers = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  if (mode === 'ISTIO_MUTUAL')
    return {
      ...common,
      certificates: { from: 'workload' },
      callers: { by: 'mesh' },
      callersProveThemselves: true,
    };
  return {
    ...common,
    certificates: certificatesOf(tls),
    callers: asksCallers ? callersOf(tls) : { by: 'nothing' },
    callersProveThemselves: mode === 'MUTUAL',
  };
}

function secretsOf({ credentialName, credentialNames = [] }: ServerTls): readonly string[] {
  if (credentialNames.length > 0) return credentialNames;
  return credentialName ? [credentialName] : [];
}

function certificatesOf(tls: ServerTls): GatewayTls['certificates'] {
  const names = secretsOf(tls);
  if (names.some(isOwnCertificate)) return { from: 'workload' };
  if (names.length > 0) return { from: 'secrets', names };
  const several = tls.tlsCertificates ?? [];
  const pairs = (several.length > 0 ? several : [tls]).flatMap(
    ({ serverCertificate: certificate, privateKey }) =>
      certificate && privateKey ? [{ certificate, privateKey }] : [],
  );
  return pairs.length > 0 ? { from: 'files', pairs } : { from: 'workload' };
}

function callersOf(tls: ServerTls): GatewayTls['callers'] {
  const [name] = tls.caCertCredentialName ? [tls.caCertCredentialName] : secretsOf(tls);
  if (name) return { by: 'secret', name };
  return tls.caCertificates ? { by: 'file', path: tls.caCertificates } : { by: 'mesh' };
}
