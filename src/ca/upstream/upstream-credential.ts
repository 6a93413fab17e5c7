import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { BulwarkError, describeError, isBulwarkError } from '#base/errors.ts';
import { readSecretFile } from '#base/files.ts';
import { Secret } from '#base/secret.ts';
import type { CaCredential } from '#caclient/ca-client.ts';
import { isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { parsePrivateKeyPem } from '#pki/keys.ts';

/** Where a server finds what proves it to the one above; one of the two. */
export interface UpstreamCredentialOptions {
  /** A file with a token. */
  readonly tokenFile: string | undefined;
  /** A folder with key.pem and cert-chain.pem, as an agent writes them. */
  readonly certificates: string | undefined;
}

/**
 * What this server proves itself with, read anew for each call, since others keep it fresh.
 * @throws BulwarkError CA_UPSTREAM_FAILED that names the file
 */
export async function readUpstreamCredential(
  options: UpstreamCredentialOptions,
): Promise<CaCredential> {
  const { tokenFile, certificates } = options;
  if (tokenFile !== undefined) {
    const token = (await reading(tokenFile)).trim();
    if (token !== '') return new Secret(token);
    throw unusable(`${tokenFile} is empty`, 'put the token of this server into it');
  }
  const folder = certificates ?? '';
  // The agent replaces one file after the other: in between they are of two certificates.
  for (let attempt = 1; ; attempt += 1) {
    const privateKeyPem = await reading(join(folder, 'key.pem'));
    const chainPem = await reading(join(folder, 'cert-chain.pem'));
    if (areOne(privateKeyPem, chainPem))
      return { chainPem, privateKeyPem: new Secret(privateKeyPem) };
    if (attempt === ATTEMPTS_MAX) {
      const message = `key.pem and cert-chain.pem in ${folder} do not belong together`;
      throw unusable(message, 'let upstreamCertificates be the outputCerts of a running agent');
    }
  }
}

const ATTEMPTS_MAX = 3;

function areOne(privateKeyPem: string, chainPem: string): boolean {
  try {
    const [leaf] = parseCertificatesPem(chainPem);
    const key = createPublicKey(parsePrivateKeyPem(privateKeyPem));
    return leaf !== undefined && isCertificateOfKey(leaf, key);
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}

async function reading(path: string): Promise<string> {
  try {
    return (await readSecretFile(path)).toString('utf8');
  } catch (cause) {
    throw unusable(describeError(cause), 'keep it readable for this server, mode 0600', cause);
  }
}

function unusable(message: string, remedy: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_UPSTREAM_FAILED', `nothing proves this server upstream: ${message}`, {
    remedy,
    cause,
  });
}
