import { isBulwarkError } from '#base/errors.ts';
import type { Certificate } from '#pki/certificate.ts';
import { DerReader } from '#pki/der-read.ts';
import { contextTag, TAG } from '#pki/der-write.ts';
import { OID } from '#pki/object-ids.ts';
import { decodePem } from '#pki/pem.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import {
  parseSignatureAlgorithm,
  type SignatureAlgorithm,
  signatureVerifies,
} from '#pki/signature.ts';

/** A certificate revocation list, read; not verified. Byte fields are views into the DER. */
export interface CertificateList {
  /** The part that is signed. */
  readonly tbs: Uint8Array;
  /** Name, DER: the subject of the authority that it speaks for. */
  readonly issuer: Uint8Array;
  /** Wall-clock milliseconds. */
  readonly thisUpdateAt: number;
  /** After this moment verifiers refuse everything that the authority signed; undefined = never. */
  readonly nextUpdateAt: number | undefined;
  /** Grows with each list of the authority (RFC 5280 section 5.2.3); undefined when it has none. */
  readonly number: bigint | undefined;
  /** Lower case hex, without leading zeros. */
  readonly revokedSerials: readonly string[];
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

const WHAT = 'certificate revocation list';
const EXTENSIONS_TAG = contextTag(0, 'constructed');
const isTime = (fields: DerReader): boolean =>
  fields.nextIs(TAG.utcTime) || fields.nextIs(TAG.generalizedTime);

/**
 * Reads all lists of a PEM text, in order; at least one (RFC 5280 section 5.1).
 * @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED (signature algorithm)
 */
export function parseCrlsPem(pem: string): CertificateList[] {
  return decodePem(pem, ['X509 CRL']).map(parseCrl);
}

/** Whether an authority signed a list, in its own name. */
export function isListOf(
  list: CertificateList,
  { subject, spki }: Pick<Certificate, 'subject' | 'spki'>,
): boolean {
  if (Buffer.compare(list.issuer, subject) !== 0) return false;
  try {
    const { tbs, signature, signatureAlgorithm } = list;
    return signatureVerifies(tbs, signature, signatureAlgorithm, parsePublicKey(spki));
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}

function parseCrl(der: Uint8Array): CertificateList {
  const outer = new DerReader(der, WHAT);
  const fields = outer.inside(TAG.sequence);
  outer.end();
  const tbs = fields.whole(TAG.sequence);
  const signatureAlgorithm = parseSignatureAlgorithm(fields.whole(TAG.sequence), WHAT);
  const signature = fields.bitString();
  fields.end();
  return { tbs, signatureAlgorithm, signature, ...parseTbs(tbs) };
}

function parseTbs(tbs: Uint8Array) {
  const fields = new DerReader(tbs, WHAT).inside(TAG.sequence);
  if (fields.nextIs(TAG.integer) && fields.smallInteger() !== 1)
    throw fields.malformed('it is not of version 2');
  fields.whole(TAG.sequence);
  const issuer = fields.whole(TAG.sequence);
  const thisUpdateAt = fields.time();
  const nextUpdateAt = isTime(fields) ? fields.time() : undefined;
  const revokedSerials = fields.nextIs(TAG.sequence)
    ? parseRevoked(fields.inside(TAG.sequence))
    : [];
  const number = fields.nextIs(EXTENSIONS_TAG)
    ? parseNumber(fields.inside(EXTENSIONS_TAG).inside(TAG.sequence))
    : undefined;
  fields.end();
  return { issuer, thisUpdateAt, nextUpdateAt, number, revokedSerials };
}

function parseNumber(extensions: DerReader): bigint | undefined {
  let number: bigint | undefined;
  while (!extensions.isAtEnd) {
    const extension = extensions.inside(TAG.sequence);
    const id = extension.oid();
    if (extension.nextIs(TAG.boolean)) extension.boolean();
    const value = extension.inside(TAG.octetString);
    if (id === OID.crlNumber)
      number = BigInt(`0x${Buffer.from(value.unsignedInteger()).toString('hex') || '0'}`);
  }
  return number;
}

function parseRevoked(list: DerReader): readonly string[] {
  const serials: string[] = [];
  while (!list.isAtEnd) {
    const entry = list.inside(TAG.sequence);
    const digits = Buffer.from(entry.unsignedInteger()).toString('hex');
    serials.push(digits.replace(/^0(?=.)/, ''));
  }
  return serials;
}
