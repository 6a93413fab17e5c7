import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { buildCertificate, keyIdOf } from '#pki/build-certificate.ts';
import type { Certificate } from '#pki/certificate.ts';
import { authorityExtensions } from '#pki/extensions.ts';

/** What the certificate of an authority says. */
export interface AuthorityTemplate {
  /** Hex. */
  readonly serial: string;
  /** Wall-clock milliseconds. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** Its own name, DER. */
  readonly name: Uint8Array;
  /** The key it signs with. */
  readonly publicKey: KeyObject;
  /** How many authorities may follow below; left out = any number. */
  readonly pathLength?: number;
  /**
   * The only trust domains whose identities it may sign (X.509 name constraint); without any, all.
   */
  readonly trustDomains: readonly string[];
}

/** Who signs the certificate of an authority: another one, or itself. */
export interface AuthorityParent {
  readonly privateKey: KeyObject;
  /** Left out for an authority that signs itself. */
  readonly certificate?: Certificate;
}

/**
 * A signed certificate of an authority, DER. Its name constraint binds URIs and nothing else, since
 * the certificates of the control plane's own servers carry DNS names and addresses (ADR 10).
 */
export function buildAuthority(template: AuthorityTemplate, parent: AuthorityParent): Uint8Array {
  const { serial, notBeforeAt, notAfterAt, name, publicKey, trustDomains } = template;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const limits = {
    ...(template.pathLength === undefined ? {} : { pathLength: template.pathLength }),
    // A constraint that some domain does not fit into would refuse what the mesh needs.
    uriHosts: trustDomains.every(isConstrainable) ? trustDomains : [],
    issuerKeyId: parent.certificate?.subjectKeyId,
  };
  const extensions = [authorityExtensions(keyIdOf(spki), limits)];
  return buildCertificate(
    { serial, notBeforeAt, notAfterAt, subject: name, spki, extensions },
    { name: parent.certificate?.subject ?? name, privateKey: parent.privateKey },
  );
}

const HOST = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Whether a trust domain can stand in a URI constraint: that is for host names, and verifiers
 * refuse addresses in it, or read a leading dot as "all below".
 */
function isConstrainable(trustDomain: string): boolean {
  return HOST.test(trustDomain) && isIP(trustDomain) === 0;
}
