import type { KeyObject } from 'node:crypto';
import { Secret } from '#base/secret.ts';
import { type KeyPair, kindOfKey } from '#pki/keys.ts';
import { encodePem, type PemText } from '#pki/pem.ts';

/**
 * The bytes before the point in the SubjectPublicKeyInfo of an uncompressed P-256 key (RFC 5480):
 * nearly every key we see.
 */
export const P256_SPKI_HEAD: Buffer = Buffer.from(
  '3059301306072a8648ce3d020106082a8648ce3d030107034200',
  'hex',
);
/** PKCS #8 of a P-256 key: what stands before its number, and before its point (RFC 5915). */
const P256_PRIVATE_HEAD = Buffer.from(
  '308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420',
  'hex',
);
const P256_POINT_HEAD = Buffer.from('a144034200', 'hex');
const UNCOMPRESSED = 4;
const COORDINATE_BYTES = 32;
/** Tag for an uncompressed point, x, y. */
const POINT_BYTES = 1 + 2 * COORDINATE_BYTES;
const POINT_AT = P256_PRIVATE_HEAD.length + COORDINATE_BYTES + P256_POINT_HEAD.length;
/**
 * Where private keys are written before they become text, one at a time, each cleared at once:
 * memory of our own, since bytes from the pool of Buffer would stay there.
 */
const P256_PRIVATE = Buffer.alloc(POINT_AT + POINT_BYTES);
P256_PRIVATE.set(P256_PRIVATE_HEAD);
P256_PRIVATE.set(P256_POINT_HEAD, POINT_AT - P256_POINT_HEAD.length);

/** By key: those that are made here are asked for more than once. */
const exported = new WeakMap<KeyObject, Uint8Array>();

/** The SubjectPublicKeyInfo of a key that node:crypto holds, DER. */
export function spkiOf(publicKey: KeyObject): Uint8Array {
  const known = exported.get(publicKey);
  if (known) return known;
  const spki = p256Spki(publicKey) ?? publicKey.export({ type: 'spki', format: 'der' });
  exported.set(publicKey, spki);
  return spki;
}

/** OpenSSL writes a SubjectPublicKeyInfo in three times the time in which it tells the numbers. */
function p256Spki(publicKey: KeyObject): Uint8Array | undefined {
  if (kindOfKey(publicKey) !== 'P-256') return undefined;
  const spki = newP256Spki();
  writePoint(spki, P256_SPKI_HEAD.length, publicKey.export({ format: 'jwk' }));
  return spki;
}

/**
 * The private key of a pair as PKCS #8 PEM, as Envoy and Istio take it. Of a P-256 key the numbers
 * of both halves are asked for at once, so that `spkiOf` of the public one costs nothing after
 * this: telling the numbers takes nearly as long as making the key.
 */
export function keyPairToPem({ privateKey, publicKey }: KeyPair): Secret<PemText> {
  if (kindOfKey(privateKey) !== 'P-256')
    return new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }) as PemText);
  const numbers = privateKey.export({ format: 'jwk' });
  const der = P256_PRIVATE;
  der.write(numbers.d ?? '', P256_PRIVATE_HEAD.length, COORDINATE_BYTES, 'base64url');
  writePoint(der, POINT_AT, numbers);
  const spki = newP256Spki();
  der.copy(spki, P256_SPKI_HEAD.length, POINT_AT);
  exported.set(publicKey, spki);
  const pem = encodePem('PRIVATE KEY', der);
  der.fill(0, P256_PRIVATE_HEAD.length, POINT_AT - P256_POINT_HEAD.length);
  return new Secret(pem);
}

function newP256Spki(): Buffer {
  const spki = Buffer.allocUnsafe(P256_SPKI_HEAD.length + POINT_BYTES);
  spki.set(P256_SPKI_HEAD);
  return spki;
}

/** Those of a public key in a JWK; each in base64url. */
interface KeyNumbers {
  readonly x?: string;
  readonly y?: string;
}

/** The numbers of a JWK have always the length of the curve (RFC 7518 section 6.2.1). */
function writePoint(bytes: Buffer, at: number, { x = '', y = '' }: KeyNumbers): void {
  bytes[at] = UNCOMPRESSED;
  bytes.write(x, at + 1, COORDINATE_BYTES, 'base64url');
  bytes.write(y, at + 1 + COORDINATE_BYTES, COORDINATE_BYTES, 'base64url');
}
