import type { KeyObject } from 'node:crypto';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { BulwarkError } from '#base/errors.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';

/** What service account tokens are signed with: ES256 (RFC 7518 section 3.4). */
export interface TokenKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The thumbprint of the public key (RFC 7638), which tokens carry as `kid`. */
  readonly keyId: string;
}

/**
 * The key in the file at `path`, PEM (PKCS #8); made, for the owner only, when there is none.
 * @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, FILES_UNWRITABLE, FILES_DISK_FULL, or
 * TOKEN_KEY_UNUSABLE
 */
export async function loadTokenKey(path: string): Promise<TokenKey> {
  if (!(await pathExists(path))) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFileAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return tokenKeyOf(privateKey);
  }
  const pem = await readSecretFile(path);
  try {
    return tokenKeyOf(createPrivateKey(pem));
  } catch (cause) {
    throw new BulwarkError('TOKEN_KEY_UNUSABLE', `${path} holds no P-256 private key`, {
      remedy: 'restore it from a backup, or remove it: a new one is made and old tokens end',
      data: { path },
      cause,
    });
  }
}

function tokenKeyOf(privateKey: KeyObject): TokenKey {
  const publicKey = createPublicKey(privateKey);
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256') throw new TypeError('not a P-256 key');
  const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y }));
  return { privateKey, publicKey, keyId: thumbprint.digest('base64url') };
}
