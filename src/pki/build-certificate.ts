import { hash, type KeyObject } from 'node:crypto';
import {
  bitString,
  contextTag,
  type DerPart,
  element,
  encodeDer,
  oid,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
} from '#pki/der-write.ts';
import { OID } from '#pki/object-ids.ts';
import { signBytes, signingAlgorithm } from '#pki/signature.ts';

/** What goes into a certificate, decided by the issuer and nobody else. */
export interface CertificateTemplate {
  /** Hex, any number of digits; at most 20 bytes as an INTEGER. */
  readonly serial: string;
  /** Wall-clock milliseconds; fractions of a second are cut off. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Encoded extensions, one or more in each. */
  readonly extensions: readonly DerPart[];
}

/** Who signs. */
export interface CertificateIssuer {
  /** Name, DER: the subject of the issuer's own certificate. */
  readonly name: Uint8Array;
  /** Of any kind that `signingAlgorithm` knows. */
  readonly privateKey: KeyObject;
}

const VERSION_3 = encodeDer(
  element(contextTag(0, 'constructed'), unsignedInteger(Uint8Array.of(2))),
);
const EXTENSIONS_TAG = contextTag(3, 'constructed');

/** The empty Name. */
export const EMPTY_NAME: Uint8Array = encodeDer(sequence());

/** A Name of organization (or several) and common name. */
export function buildName({ organization, commonName }: NameParts): Uint8Array {
  const part = (id: string, text: string) => set(sequence(oid(id), utf8String(text)));
  const organizations = [organization].flat().map((text) => part(OID.organization, text));
  return encodeDer(sequence(...organizations, part(OID.commonName, commonName)));
}

interface NameParts {
  readonly organization: string | readonly string[];
  readonly commonName: string;
}

/**
 * A signed X.509 v3 certificate, DER (RFC 5280 section 4.1).
 * @throws BulwarkError PKI_UNSUPPORTED when the issuer's key is too weak or of an unknown kind
 */
export function buildCertificate(
  template: CertificateTemplate,
  issuer: CertificateIssuer,
): Uint8Array {
  const { der: algorithm } = signingAlgorithm(issuer.privateKey);
  const tbs = encodeDer(
    sequence(
      VERSION_3,
      unsignedInteger(Buffer.from(evenDigits(template.serial), 'hex')),
      algorithm,
      issuer.name,
      sequence(time(template.notBeforeAt), time(template.notAfterAt)),
      template.subject,
      template.spki,
      element(EXTENSIONS_TAG, sequence(...template.extensions)),
    ),
  );
  return encodeDer(sequence(tbs, algorithm, bitString(signBytes(tbs, issuer.privateKey))));
}

function evenDigits(hex: string): string {
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

/**
 * The key id of a public key: the first 160 bits of SHA-256 over its SubjectPublicKeyInfo, hex (RFC
 * 7093 section 2).
 */
export function keyIdOf(spki: Uint8Array): string {
  return hash('sha256', spki, 'hex').slice(0, 40);
}
