import { buildAuthority } from '#pki/build-authority.ts';
import { buildCertificate, buildName, EMPTY_NAME } from '#pki/build-certificate.ts';
import { buildCrl, type CrlTemplate } from '#pki/build-crl.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { leafExtensions, namesExtension } from '#pki/extensions.ts';
import { generateKeyPair, type KeyChoice, type KeyPair, privateKeyToPem } from '#pki/keys.ts';
import { encodePem, type PemText } from '#pki/pem.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** An authority with its key. */
export interface ChainAuthority {
  readonly certificate: Certificate;
  readonly keys: KeyPair;
  readonly pem: PemText;
}

/** A leaf with its key. */
export interface ChainLeaf {
  readonly certificate: Certificate;
  readonly pem: PemText;
  readonly privateKeyPem: string;
}

/** What differs from an unbound P-256 authority that is good for a year from now. */
export interface AuthorityChanges {
  readonly choice?: KeyChoice;
  readonly keys?: KeyPair;
  readonly trustDomains?: readonly string[];
  readonly pathLength?: number;
  readonly notBeforeAt?: number;
  readonly notAfterAt?: number;
  readonly commonName?: string;
}

let serials = 0;
const serial = (): string => (++serials).toString(16);

/** An authority that signs itself, or is signed by `parent`, whether that may or not. */
export function makeAuthority(
  changes: AuthorityChanges = {},
  parent?: ChainAuthority,
): ChainAuthority {
  const { choice = 'P-256', keys = generateKeyPair(choice), commonName, ...rest } = changes;
  const name = buildName({
    organization: 'test',
    commonName: commonName ?? `authority ${serials}`,
  });
  const template = {
    serial: serial(),
    notBeforeAt: Date.now() - HOUR_MS,
    notAfterAt: Date.now() + YEAR_MS,
    trustDomains: [],
    name,
    publicKey: keys.publicKey,
    ...rest,
  };
  const signer = parent
    ? { certificate: parent.certificate, privateKey: parent.keys.privateKey }
    : { privateKey: keys.privateKey };
  const der = buildAuthority(template, signer);
  return { keys, certificate: parseCertificate(der), pem: encodePem('CERTIFICATE', der) };
}

/** A leaf for both sides of TLS, good for an hour from now. */
export function makeLeaf(
  parent: ChainAuthority,
  names: Partial<SubjectAltNames>,
  keys: KeyPair = generateKeyPair(),
): ChainLeaf {
  const { subjectKeyId, subject: name } = parent.certificate;
  const shared = leafExtensions(['serverAuth', 'clientAuth'], subjectKeyId);
  const template = {
    serial: serial(),
    notBeforeAt: Date.now() - HOUR_MS,
    notAfterAt: Date.now() + HOUR_MS,
    subject: EMPTY_NAME,
    spki: keys.publicKey.export({ type: 'spki', format: 'der' }),
    extensions: [namesExtension(names), shared],
  };
  const der = buildCertificate(template, { name, privateKey: parent.keys.privateKey });
  return {
    certificate: parseCertificate(der),
    pem: encodePem('CERTIFICATE', der),
    privateKeyPem: privateKeyToPem(keys.privateKey).reveal(),
  };
}

/** The list of an authority that names these serials, PEM; good for a month when not told. */
export function crlOf(
  { certificate, keys }: ChainAuthority,
  serials: readonly string[],
  {
    nextUpdateAt = Date.now() + 30 * 24 * HOUR_MS,
    thisUpdateAt = Date.now() - HOUR_MS,
    number = Date.now(),
  }: Partial<Omit<CrlTemplate, 'revoked'>> = {},
): string {
  const { subject: name, subjectKeyId: keyId } = certificate;
  const revoked = serials.map(
    (one) => ({ serial: one, revokedAt: thisUpdateAt, reason: 'unspecified' }) as const,
  );
  const template = { number, thisUpdateAt, nextUpdateAt, revoked };
  const { privateKey } = keys;
  return encodePem('X509 CRL', buildCrl(template, { name, keyId, privateKey }));
}
