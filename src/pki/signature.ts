import { type KeyObject, sign, verify } from 'node:crypto';
import { BulwarkError } from '#base/errors.ts';
import { DerReader } from '#pki/der-read.ts';
import { encodeDer, NULL, oid, sequence, TAG } from '#pki/der-write.ts';
import { kindOfKey } from '#pki/keys.ts';
import { OID } from '#pki/object-ids.ts';
import { invalidKey, type KeyKind, type PublicKey } from '#pki/public-key.ts';

/**
 * How something is signed: AlgorithmIdentifier, the hash for node:crypto, and the keys that fit.
 */
export interface SignatureAlgorithm {
  /** AlgorithmIdentifier, DER. */
  readonly der: Uint8Array;
  /** The name of the hash; null where the algorithm has its own (Ed25519). */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null;
  readonly keys: readonly KeyKind[];
}

const EC: readonly KeyKind[] = ['P-256', 'P-384'];
const RSA: readonly KeyKind[] = ['RSA'];

const ECDSA_SHA256 = algorithm('sha256', EC, oid(OID.ecdsaWithSha256));
const ECDSA_SHA384 = algorithm('sha384', EC, oid(OID.ecdsaWithSha384));
const RSA_SHA256 = algorithm('sha256', RSA, oid(OID.rsaWithSha256), NULL);
const ED25519 = algorithm(null, ['Ed25519'], oid(OID.ed25519));

/** The accepted algorithms; SHA-1 and RSA-PSS are not (RFC 5480, 4055, 8410). */
const ALGORITHMS: Readonly<Record<string, SignatureAlgorithm>> = {
  [OID.ecdsaWithSha256]: ECDSA_SHA256,
  [OID.ecdsaWithSha384]: ECDSA_SHA384,
  [OID.ecdsaWithSha512]: algorithm('sha512', EC, oid(OID.ecdsaWithSha512)),
  [OID.rsaWithSha256]: RSA_SHA256,
  [OID.rsaWithSha384]: algorithm('sha384', RSA, oid(OID.rsaWithSha384), NULL),
  [OID.rsaWithSha512]: algorithm('sha512', RSA, oid(OID.rsaWithSha512), NULL),
  [OID.ed25519]: ED25519,
};

function algorithm(
  hash: SignatureAlgorithm['hash'],
  keys: readonly KeyKind[],
  ...identifier: readonly Uint8Array[]
): SignatureAlgorithm {
  return { der: encodeDer(sequence(...identifier)), hash, keys };
}

/**
 * Reads the AlgorithmIdentifier of a signature.
 * @throws BulwarkError PKI_UNSUPPORTED for any but the accepted ones in their one DER form,
 *   PKI_MALFORMED
 */
export function parseSignatureAlgorithm(der: Uint8Array, what: string): SignatureAlgorithm {
  const id = new DerReader(der, what).inside(TAG.sequence).oid();
  const found = Object.hasOwn(ALGORITHMS, id) ? ALGORITHMS[id] : undefined;
  if (!found || Buffer.compare(found.der, der) !== 0) {
    throw new BulwarkError('PKI_UNSUPPORTED', `signature algorithm ${id} is not supported`, {
      remedy: 'sign with ECDSA or RSA over SHA-256, or Ed25519',
    });
  }
  return found;
}

/** What we sign with, by the kind of key. */
const SIGNING: Readonly<Record<KeyKind, SignatureAlgorithm>> = {
  'P-256': ECDSA_SHA256,
  'P-384': ECDSA_SHA384,
  RSA: RSA_SHA256,
  Ed25519: ED25519,
};

/** The algorithm that `signBytes` uses for keys of this kind. */
export function algorithmOf(kind: KeyKind): SignatureAlgorithm {
  return SIGNING[kind];
}

/**
 * The algorithm that `signBytes` uses for a key.
 * @throws BulwarkError PKI_UNSUPPORTED for a key that is too weak or of another kind
 */
export function signingAlgorithm(privateKey: KeyObject): SignatureAlgorithm {
  const kind = kindOfKey(privateKey);
  if (!kind) {
    throw new BulwarkError('PKI_UNSUPPORTED', 'the private key is too weak or of an unknown kind', {
      remedy: 'use P-256, P-384, RSA of at least 2048 bits, or Ed25519',
    });
  }
  return SIGNING[kind];
}

/**
 * Signs as `signingAlgorithm` says.
 * @throws BulwarkError PKI_UNSUPPORTED
 */
export function signBytes(bytes: Uint8Array, privateKey: KeyObject): Uint8Array {
  return sign(signingAlgorithm(privateKey).hash, bytes, privateKey);
}

/**
 * Whether `signature` over `bytes` is by the holder of `key`; false also for an algorithm that the
 * key cannot have.
 * @throws BulwarkError PKI_MALFORMED when the key is none
 */
export function signatureVerifies(
  bytes: Uint8Array,
  signature: Uint8Array,
  used: SignatureAlgorithm,
  key: PublicKey,
): boolean {
  if (!used.keys.includes(key.kind)) return false;
  try {
    return verify(used.hash, bytes, key.key, signature);
  } catch (cause) {
    throw invalidKey(cause);
  }
}
