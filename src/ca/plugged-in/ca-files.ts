import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isBulwarkError } from '#base/errors.ts';
import { pathExists, readSecretFile } from '#base/files.ts';

/** The files of a plugged-in authority, by the names that Istio gives them in `cacerts`. */
export const CA_FILE = {
  certificate: 'ca-cert.pem',
  privateKey: 'ca-key.pem',
  chain: 'cert-chain.pem',
  root: 'root-cert.pem',
  crl: 'ca-crl.pem',
} as const;

/** What is in the files: text, undefined for one that may be missing and is. */
export interface CaFiles {
  readonly certificate: string;
  readonly privateKey: Buffer;
  readonly chain: string | undefined;
  readonly root: string;
  readonly crl: string | undefined;
  /** The same for the same content. */
  readonly digest: string;
}

/**
 * Reads the files of a folder.
 * @throws BulwarkError FILES_UNREADABLE, or FILES_TOO_OPEN for a key that others may read
 */
export async function readCaFiles(directory: string): Promise<CaFiles> {
  const path = (name: keyof typeof CA_FILE): string => join(directory, CA_FILE[name]);
  const certificate = await readSecretFile(path('certificate'), { exclusive: false });
  const privateKey = await readSecretFile(path('privateKey'));
  const root = await readSecretFile(path('root'), { exclusive: false });
  const chain = await readIfThere(path('chain'));
  const crl = await readIfThere(path('crl'));
  const digest = createHash('sha256');
  for (const part of [certificate, privateKey, root, chain, crl]) {
    digest.update(`${part?.length ?? 'none'}:`);
    if (part) digest.update(part);
  }
  return {
    certificate: certificate.toString('latin1'),
    privateKey,
    root: root.toString('latin1'),
    chain: chain?.toString('latin1'),
    crl: crl?.toString('latin1'),
    digest: digest.digest('hex'),
  };
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readSecretFile(path, { exclusive: false });
  } catch (error) {
    if (isBulwarkError(error, 'FILES_UNREADABLE') && !(await pathExists(path))) return undefined;
    throw error;
  }
}
