import { hash, type KeyObject } from 'node:crypto';
import {
  bitString,
  contextTag,
  element,
  oid,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
} from '#pki/der-write.ts';
import { OID } from '#pki/object-ids.ts';
import { OUR_ALGORITHM, signBytes } from '#pki/signature.ts';

/** What goes into a certificate, decided by the issuer and nobody else. */
export interface CertificateTemplate {
  /** The serial number, big end first, not negative, at most 20 bytes as an INTEGER. */
  readonly serial: Uint8Array;
  /** Wall-clock milliseconds; fractions of a second are cut off. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Encoded extensions, one or more in each. */
  readonly extensions: readonly Uint8Array[];
}

/** Who signs. */
export interface CertificateIssuer {
  /** Name, DER: the subject of the issuer's own certificate. */
  readonly name: Uint8Array;
  /** P-256. */
  readonly privateKey: KeyObject;
}

const VERSION_3 = element(contextTag(0, 'constructed'), unsignedInteger(Uint8Array.of(2)));
const EXTENSIONS_TAG = contextTag(3, 'constructed');

/** The empty Name. */
export const EMPTY_NAME: Uint8Array = sequence();

/** A Name of organization and common name. */
export function buildName({ organization, commonName }: NameParts): Uint8Array {
  const part = (id: string, text: string) => set(sequence(oid(id), utf8String(text)));
  return sequence(part(OID.organization, organization), part(OID.commonName, commonName));
}

interface NameParts {
  readonly organization: string;
  readonly commonName: string;
}

/** A signed X.509 v3 certificate, DER (RFC 5280 section 4.1). */
export function buildCertificate(
  template: CertificateTemplate,
  issuer: CertificateIssuer,
): Uint8Array {
  const tbs = sequence(
    VERSION_3,
    unsignedInteger(template.serial),
    OUR_ALGORITHM.der,
    issuer.name,
    sequence(time(template.notBeforeAt), time(template.notAfterAt)),
    template.subject,
    template.spki,
    element(EXTENSIONS_TAG, sequence(...template.extensions)),
  );
  return sequence(tbs, OUR_ALGORITHM.der, bitString(signBytes(tbs, issuer.privateKey)));
}

/** The key id of a public key: the first 160 bits of SHA-256 over its SubjectPublicKeyInfo, hex (RFC 7093 section 2). */
export function keyIdOf(spki: Uint8Array): string {
  return hash('sha256', spki, 'hex').slice(0, 40);
}
