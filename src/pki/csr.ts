import { BulwarkError } from '#base/errors.ts';
import { DerReader } from '#pki/der-read.ts';
import {
  bitString,
  contextTag,
  element,
  encodeDer,
  sequence,
  TAG,
  unsignedInteger,
} from '#pki/der-write.ts';
import {
  type Extensions,
  extensionRequest,
  NO_EXTENSIONS,
  namesExtension,
  parseExtensions,
} from '#pki/extensions.ts';
import { spkiOf } from '#pki/key-export.ts';
import type { KeyPair } from '#pki/keys.ts';
import { OID } from '#pki/object-ids.ts';
import { decodePem, encodePem, type PemText } from '#pki/pem.ts';
import { type PublicKey, parsePublicKey } from '#pki/public-key.ts';
import {
  parseSignatureAlgorithm,
  signatureVerifies,
  signBytes,
  signingAlgorithm,
} from '#pki/signature.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A certificate signing request whose sender has shown that it holds the private key. */
export interface Csr {
  readonly publicKey: PublicKey;
  /** What the sender would like to have in the certificate; a wish and no more. */
  readonly requested: Extensions;
}

const ATTRIBUTES_TAG = contextTag(0, 'constructed');
const ATTRIBUTES_MAX = 16;
const WHAT = 'certificate signing request';

/**
 * A request for a certificate with one identity: empty subject, the identity as URI name (PKCS #10,
 * RFC 2986).
 * @throws BulwarkError PKI_UNSUPPORTED for keys that are too weak or of an unknown kind
 */
export function buildCsr(identity: SpiffeId, keys: KeyPair): PemText {
  const info = encodeDer(
    sequence(
      unsignedInteger(Uint8Array.of(0)),
      sequence(),
      spkiOf(keys.publicKey),
      element(ATTRIBUTES_TAG, extensionRequest(namesExtension({ uris: [identity] }))),
    ),
  );
  const { der: algorithm } = signingAlgorithm(keys.privateKey);
  const signature = bitString(signBytes(info, keys.privateKey));
  return encodePem('CERTIFICATE REQUEST', encodeDer(sequence(info, algorithm, signature)));
}

/**
 * Reads a request and verifies its signature, so that a Csr value exists only where possession of
 * the key was proven.
 * @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED (kind or strength of key, algorithm),
 *   PKI_VERIFY_FAILED
 */
export function parseCsrPem(pem: string): Csr {
  const [der, ...more] = decodePem(pem, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']);
  if (der === undefined || more.length > 0)
    throw new BulwarkError('PKI_MALFORMED', `there is more than one ${WHAT}`);
  return parseCsr(der);
}

function parseCsr(der: Uint8Array): Csr {
  const outer = new DerReader(der, WHAT);
  const fields = outer.inside(TAG.sequence);
  outer.end();
  const info = fields.whole(TAG.sequence);
  const algorithm = parseSignatureAlgorithm(fields.whole(TAG.sequence), WHAT);
  const signature = fields.bitString();
  fields.end();
  const csr = parseInfo(info);
  if (!signatureVerifies(info, signature, algorithm, csr.publicKey)) {
    throw new BulwarkError('PKI_VERIFY_FAILED', `the signature of the ${WHAT} does not verify`, {
      remedy: 'sign the request with the private key whose public half is in it',
    });
  }
  return csr;
}

function parseInfo(info: Uint8Array): Csr {
  const fields = new DerReader(info, WHAT).inside(TAG.sequence);
  if (fields.smallInteger() !== 0) throw fields.malformed('it is not of version 1');
  fields.whole(TAG.sequence);
  const spki = fields.whole(TAG.sequence);
  const requested = fields.isAtEnd ? NO_EXTENSIONS : parseAttributes(fields.inside(ATTRIBUTES_TAG));
  fields.end();
  return { publicKey: parsePublicKey(spki), requested };
}

function parseAttributes(attributes: DerReader): Extensions {
  let requested: Extensions | undefined;
  for (let count = 0; !attributes.isAtEnd; count += 1) {
    if (count === ATTRIBUTES_MAX) throw attributes.malformed('it has too many attributes');
    const attribute = attributes.inside(TAG.sequence);
    const id = attribute.oid();
    const values = attribute.inside(TAG.set);
    attribute.end();
    if (id !== OID.extensionRequest) continue;
    if (requested) throw attributes.malformed('it asks for extensions twice');
    requested = parseExtensions(values);
    values.end();
  }
  return requested ?? NO_EXTENSIONS;
}
