import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generateKeyPairLater,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { BulwarkError } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { PemText } from '#pki/pem.ts';
import type { KeyKind } from '#pki/public-key.ts';

const makeRsaKeyPair = promisify(generateKeyPairLater);

/** A private key and its public half, as node:crypto holds them. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** What a key pair is made for: a curve, or RSA with its bits. */
export type KeyChoice = 'P-256' | 'P-384' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096';

/** A new key pair: some 20 µs on a curve, up to seconds for RSA. */
export function generateKeyPair(choice: KeyChoice = 'P-256'): KeyPair {
  if (choice === 'P-256' || choice === 'P-384') {
    const pair = generateKeyPairSync('ec', { namedCurve: choice });
    for (const key of [pair.privateKey, pair.publicKey]) kinds.set(key, choice);
    return pair;
  }
  return generateKeyPairSync('rsa', { modulusLength: rsaBits(choice) });
}

/** A new key pair, made beside the main thread when that takes long (RSA). */
export async function makeKeyPair(choice: KeyChoice = 'P-256'): Promise<KeyPair> {
  if (choice === 'P-256' || choice === 'P-384') return generateKeyPair(choice);
  return makeRsaKeyPair('rsa', { modulusLength: rsaBits(choice) });
}

function rsaBits(choice: KeyChoice): number {
  return Number(choice.slice('RSA-'.length));
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

const RSA_BITS_MIN = 2048;
/** By key, since asking a key what it is takes as long as making it. */
const kinds = new WeakMap<KeyObject, KeyKind>();

/** Of which kind a key is, private or public; undefined for one that is too weak or unknown. */
export function kindOfKey(key: KeyObject): KeyKind | undefined {
  const known = kinds.get(key);
  if (known) return known;
  const kind = readKind(key);
  if (kind) kinds.set(key, kind);
  return kind;
}

function readKind(key: KeyObject): KeyKind | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'P-256';
  if (type === 'ec' && details?.namedCurve === 'secp384r1') return 'P-384';
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= RSA_BITS_MIN) return 'RSA';
  return type === 'ed25519' ? 'Ed25519' : undefined;
}
