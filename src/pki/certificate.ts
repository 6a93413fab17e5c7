import type { KeyObject } from 'node:crypto';
import { DerReader } from '#pki/der-read.ts';
import { contextTag, TAG } from '#pki/der-write.ts';
import { type Extensions, NO_EXTENSIONS, parseExtensions } from '#pki/extensions.ts';
import { spkiOf } from '#pki/key-export.ts';
import { decodePem } from '#pki/pem.ts';
import { parseSignatureAlgorithm, type SignatureAlgorithm } from '#pki/signature.ts';

/** An X.509 certificate, read; not verified. Byte fields are views into `der`. */
export interface Certificate extends Extensions {
  readonly der: Uint8Array;
  /** The part that is signed. */
  readonly tbs: Uint8Array;
  /** Lower case hex, without leading zeros: the form in which serials are shown and compared. */
  readonly serial: string;
  /** Names as DER; an empty one is `30 00`. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Wall-clock milliseconds; valid from `notBeforeAt` to `notAfterAt`, both included. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

const VERSION_TAG = contextTag(0, 'constructed');
const ISSUER_ID_TAG = contextTag(1, 'primitive');
const SUBJECT_ID_TAG = contextTag(2, 'primitive');
const EXTENSIONS_TAG = contextTag(3, 'constructed');
const SERIAL_BYTES_MAX = 20;
const WHAT = 'certificate';

/**
 * Reads one certificate, DER (RFC 5280 section 4.1). Only version 3 is accepted.
 * @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED (signature algorithm)
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der, WHAT);
  const fields = outer.inside(TAG.sequence);
  outer.end();
  const tbs = fields.whole(TAG.sequence);
  const algorithm = fields.whole(TAG.sequence);
  const signature = fields.bitString();
  fields.end();
  const signatureAlgorithm = parseSignatureAlgorithm(algorithm, WHAT);
  return parseTbs({ der, tbs, signature, signatureAlgorithm }, algorithm);
}

type Outer = Pick<Certificate, 'der' | 'tbs' | 'signature' | 'signatureAlgorithm'>;

function parseTbs(outer: Outer, algorithm: Uint8Array): Certificate {
  const { der, tbs, signature, signatureAlgorithm } = outer;
  const fields = new DerReader(tbs, WHAT).inside(TAG.sequence);
  const version = fields.inside(VERSION_TAG);
  if (version.smallInteger() !== 2) throw fields.malformed('it is not of version 3');
  version.end();
  const serial = serialOf(fields);
  if (Buffer.compare(fields.whole(TAG.sequence), algorithm) !== 0)
    throw fields.malformed('it names two signature algorithms');
  const issuer = fields.whole(TAG.sequence);
  const validity = fields.inside(TAG.sequence);
  const notBeforeAt = validity.time();
  const notAfterAt = validity.time();
  validity.end();
  const subject = fields.whole(TAG.sequence);
  const spki = fields.whole(TAG.sequence);
  for (const tag of [ISSUER_ID_TAG, SUBJECT_ID_TAG]) if (fields.nextIs(tag)) fields.contents(tag);
  const extensions = fields.isAtEnd ? NO_EXTENSIONS : extensionsOf(fields);
  fields.end();
  return {
    ...extensions,
    der,
    tbs,
    serial,
    issuer,
    subject,
    notBeforeAt,
    notAfterAt,
    spki,
    signatureAlgorithm,
    signature,
  };
}

function serialOf(fields: DerReader): string {
  const bytes = fields.unsignedInteger();
  if (bytes.length > SERIAL_BYTES_MAX) throw fields.malformed('its serial is too long');
  const digits = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return digits.charCodeAt(0) === 0x30 && digits.length > 1 ? digits.slice(1) : digits;
}

function extensionsOf(fields: DerReader): Extensions {
  const wrapper = fields.inside(EXTENSIONS_TAG);
  const extensions = parseExtensions(wrapper);
  wrapper.end();
  return extensions;
}

/**
 * Reads all certificates of a PEM text, in order; at least one.
 * @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED
 */
export function parseCertificatesPem(pem: string): Certificate[] {
  return decodePem(pem, ['CERTIFICATE']).map(parseCertificate);
}

/** Whether a certificate was issued for this key (its public half is given). */
export function isCertificateOfKey(certificate: Certificate, publicKey: KeyObject): boolean {
  return Buffer.compare(spkiOf(publicKey), certificate.spki) === 0;
}
