import { createPublicKey, type KeyObject } from 'node:crypto';
import { BulwarkError } from '#base/errors.ts';
import { DerReader } from '#pki/der-read.ts';
import { TAG } from '#pki/der-write.ts';
import { P256_SPKI_HEAD } from '#pki/key-export.ts';
import { OID } from '#pki/object-ids.ts';
import { encodePem, type PemText } from '#pki/pem.ts';

/** The kinds of public key that we accept. */
export type KeyKind = 'P-256' | 'P-384' | 'RSA' | 'Ed25519';

/** A public key of an accepted kind and strength. */
export interface PublicKey {
  readonly kind: KeyKind;
  /** SubjectPublicKeyInfo, DER (RFC 5280 section 4.1). */
  readonly spki: Uint8Array;
  /** For node:crypto: imported, or PEM text that it imports as it uses it. */
  readonly key: KeyObject | PemText;
}

/** Bits of an RSA modulus; the upper bound keeps a caller from making us work for nothing. */
const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 8192;
const RSA_EXPONENT_BYTES_MAX = 4;

const P256_LENGTH = P256_SPKI_HEAD.length + 65;
const UNCOMPRESSED = 4;

/**
 * Reads a SubjectPublicKeyInfo. Accepted: P-256 and P-384 (uncompressed, named curve), RSA of 2048
 * to 8192 bits, Ed25519. Whether the point is on the curve shows when the key is used.
 * @throws BulwarkError PKI_MALFORMED, or PKI_UNSUPPORTED for a key of another kind or too weak
 */
export function parsePublicKey(spki: Uint8Array): PublicKey {
  // As PEM text on purpose: given an object, Node 24 asks four times whether it is a key, and each
  // No is an exception that it throws and catches. That takes twice as long as the import itself.
  return { kind: kindOf(spki), spki, key: encodePem('PUBLIC KEY', spki) };
}

/**
 * The same key, imported once for many uses.
 * @throws BulwarkError PKI_MALFORMED when it is no valid key of its kind
 */
export function importPublicKey({ kind, spki, key }: PublicKey): PublicKey {
  try {
    return { kind, spki, key: typeof key === 'string' ? createPublicKey(key) : key };
  } catch (cause) {
    throw invalidKey(cause);
  }
}

/**
 * The error for bytes that look like a key and are none, such as a point that is not on its curve.
 */
export function invalidKey(cause: unknown): BulwarkError {
  return new BulwarkError('PKI_MALFORMED', 'the public key is no valid key of its kind', { cause });
}

function kindOf(spki: Uint8Array): KeyKind {
  if (spki.length === P256_LENGTH && P256_SPKI_HEAD.equals(spki.subarray(0, P256_SPKI_HEAD.length)))
    return checkedPoint(spki.subarray(P256_SPKI_HEAD.length), 65, 'P-256');
  const outer = new DerReader(spki, 'public key');
  const info = outer.inside(TAG.sequence);
  outer.end();
  const algorithm = info.inside(TAG.sequence);
  const keyBytes = info.bitString();
  info.end();
  const kind = kindOfAlgorithm(algorithm);
  algorithm.end();
  switch (kind) {
    case 'P-256':
      return checkedPoint(keyBytes, 65, kind);
    case 'P-384':
      return checkedPoint(keyBytes, 97, kind);
    case 'Ed25519':
      if (keyBytes.length !== 32) throw info.malformed('an Ed25519 key has a wrong length');
      return kind;
    case 'RSA':
      return checkedRsa(new DerReader(keyBytes, 'RSA key'));
  }
}

function kindOfAlgorithm(algorithm: DerReader): KeyKind {
  const id = algorithm.oid();
  if (id === OID.ecPublicKey) {
    if (!algorithm.nextIs(TAG.oid)) throw unsupported('an elliptic curve without a name');
    const curve = algorithm.oid();
    if (curve === OID.p256) return 'P-256';
    if (curve === OID.p384) return 'P-384';
    throw unsupported(`elliptic curve ${curve}`);
  }
  if (id === OID.rsaEncryption) {
    algorithm.contents(TAG.null);
    return 'RSA';
  }
  if (id === OID.ed25519) return 'Ed25519';
  throw unsupported(`key algorithm ${id}`);
}

function checkedPoint(point: Uint8Array, length: number, kind: KeyKind): KeyKind {
  if (point[0] !== UNCOMPRESSED || point.length !== length)
    throw unsupported(`a ${kind} point that is not uncompressed`);
  return kind;
}

function checkedRsa(outer: DerReader): KeyKind {
  const fields = outer.inside(TAG.sequence);
  outer.end();
  const modulus = fields.unsignedInteger();
  const exponent = fields.unsignedInteger();
  fields.end();
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
    throw unsupported(`RSA of ${bits} bits (accepted: ${RSA_BITS_MIN} to ${RSA_BITS_MAX})`);
  const isTooSmall = exponent.length === 1 && (exponent[0] ?? 0) < 3;
  const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
  if (isTooSmall || !isOdd || exponent.length > RSA_EXPONENT_BYTES_MAX)
    throw unsupported('RSA with an unusual public exponent');
  return 'RSA';
}

function unsupported(what: string): BulwarkError {
  return new BulwarkError('PKI_UNSUPPORTED', `${what} is not supported`, {
    remedy: 'use a P-256 key',
  });
}
