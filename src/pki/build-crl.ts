import type { CertificateIssuer } from '#pki/build-certificate.ts';
import {
  bitString,
  contextTag,
  type DerPart,
  element,
  encodeDer,
  octetString,
  oid,
  sequence,
  time,
  unsignedInteger,
} from '#pki/der-write.ts';
import { OID } from '#pki/object-ids.ts';
import { signBytes, signingAlgorithm } from '#pki/signature.ts';

/** Reasons by their names, with their numbers (RFC 5280 section 5.3.1). */
const REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;

/** Why a certificate is revoked. */
export type RevocationReason = keyof typeof REASONS;

/** A certificate that is not to be trusted any more. */
export interface RevokedCertificate {
  /** Hex, any number of digits. */
  readonly serial: string;
  /** Wall-clock milliseconds. */
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}

/** What a revocation list says. */
export interface CrlTemplate {
  /** Grows with each list of the issuer. */
  readonly number: number;
  /** Wall-clock milliseconds; fractions of a second are cut off. */
  readonly thisUpdateAt: number;
  /** From then on verifiers refuse everything that the issuer signed. */
  readonly nextUpdateAt: number;
  readonly revoked: readonly RevokedCertificate[];
}

const VERSION_2 = encodeDer(unsignedInteger(Uint8Array.of(1)));
const KEY_ID_TAG = contextTag(0, 'primitive');
const EXTENSIONS_TAG = contextTag(0, 'constructed');
const ENUMERATED = 0x0a;

/**
 * A signed certificate revocation list, version 2, DER (RFC 5280 section 5.1).
 * @param keyId the subject key id of the issuer, hex; undefined when it has none
 * @throws BulwarkError PKI_UNSUPPORTED when the issuer's key is too weak or of an unknown kind
 */
export function buildCrl(
  template: CrlTemplate,
  issuer: CertificateIssuer & { readonly keyId: string | undefined },
): Uint8Array {
  const { der: algorithm } = signingAlgorithm(issuer.privateKey);
  const { number, thisUpdateAt, nextUpdateAt, revoked } = template;
  const authorityKey = (keyId: string): DerPart =>
    extension(OID.authorityKeyId, sequence(element(KEY_ID_TAG, Buffer.from(keyId, 'hex'))));
  const tbs = encodeDer(
    sequence(
      VERSION_2,
      algorithm,
      issuer.name,
      time(thisUpdateAt),
      time(nextUpdateAt),
      // Left out when empty: an empty list is no valid one.
      ...(revoked.length === 0 ? [] : [sequence(...revoked.map(entry))]),
      element(
        EXTENSIONS_TAG,
        sequence(
          ...(issuer.keyId === undefined ? [] : [authorityKey(issuer.keyId)]),
          extension(OID.crlNumber, unsignedInteger(hexBytes(number.toString(16)))),
        ),
      ),
    ),
  );
  return encodeDer(sequence(tbs, algorithm, bitString(signBytes(tbs, issuer.privateKey))));
}

/** The reason stands there only when it says something (RFC 5280 section 5.3.1). */
function entry({ serial, revokedAt, reason }: RevokedCertificate): DerPart {
  const fields = [unsignedInteger(hexBytes(serial)), time(revokedAt)];
  if (reason === 'unspecified') return sequence(...fields);
  const code = element(ENUMERATED, Uint8Array.of(REASONS[reason]));
  return sequence(...fields, sequence(extension(OID.crlReason, code)));
}

function extension(id: string, value: DerPart): DerPart {
  return sequence(oid(id), octetString(value));
}

function hexBytes(hex: string): Uint8Array {
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
