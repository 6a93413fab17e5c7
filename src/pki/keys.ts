import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { BulwarkError } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { PemText } from '#pki/pem.ts';

/** A private key and its public half, as node:crypto holds them. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A new P-256 key pair; takes some 20 µs. */
export function generateKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** The private key as PKCS #8 PEM, as Envoy and Istio take it. */
export function privateKeyToPem(key: KeyObject): Secret<PemText> {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }) as PemText);
}

/**
 * A private key from PEM: PKCS #8, SEC 1 or PKCS #1, not encrypted.
 * @throws BulwarkError PKI_MALFORMED
 */
export function parsePrivateKeyPem(text: string | Buffer): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    // The cause may quote the input: it is left out on purpose.
    throw new BulwarkError('PKI_MALFORMED', 'the private key is not properly encoded');
  }
}

/** The public half of a private key. */
export function publicHalf(privateKey: KeyObject): KeyObject {
  return createPublicKey(privateKey);
}

/** Whether a key, private or public, is on the curve that we sign with. */
export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}
