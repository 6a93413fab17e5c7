import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { ensurePrivateDirectory, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import { type IssuerList, issuerKey } from '#ca/lists/issuer-list.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { isListOf, parseCrlsPem } from '#pki/crl.ts';
import { encodePem } from '#pki/pem.ts';

const ENDING = '.pem';
const LIST_BEGIN = '-----BEGIN X509 CRL-----';

/**
 * The last list of each authority, a file each: the certificates from the authority to its root,
 * then the list. When the key of an authority goes, what it signed lives on for a while, and its
 * list has to outlive the key and every restart.
 */
export class ListFiles {
  readonly #directory: string;
  readonly #log: Logger;

  constructor(directory: string, { log }: { readonly log: Logger }) {
    this.#directory = directory;
    this.#log = log;
  }

  /**
   * All that are sound; another one is told and left out.
   * @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, FILES_UNWRITABLE
   */
  async read(): Promise<readonly IssuerList[]> {
    await ensurePrivateDirectory(this.#directory);
    const lists: IssuerList[] = [];
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith(ENDING)) continue;
      const path = join(this.#directory, name);
      try {
        lists.push(parse(String(await readSecretFile(path))));
      } catch (error) {
        if (!isBulwarkError(error)) throw error;
        this.#log.warn('a revocation list on disk cannot be used', { path, error });
      }
    }
    return lists;
  }

  /** @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL */
  async write(list: IssuerList): Promise<void> {
    const chain = list.issuers.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
    await writeFileAtomic(this.#path(list), `${chain}${list.pem}`);
  }

  /** Removes the list of this authority, if there is one. */
  async remove(list: Pick<IssuerList, 'issuers'>): Promise<void> {
    await rm(this.#path(list), { force: true });
  }

  #path({ issuers }: Pick<IssuerList, 'issuers'>): string {
    return join(this.#directory, `${issuerKey(issuers[0])}${ENDING}`);
  }
}

/** @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED */
function parse(text: string): IssuerList {
  const at = text.indexOf(LIST_BEGIN);
  const pem = text.slice(at);
  const [issuer, ...above] = parseCertificatesPem(text.slice(0, Math.max(at, 0)));
  const [list] = parseCrlsPem(pem);
  if (!issuer || !list || !isListOf(list, issuer))
    throw new BulwarkError('PKI_MALFORMED', 'the list is not of the authority before it');
  const { thisUpdateAt, nextUpdateAt = Number.POSITIVE_INFINITY } = list;
  return { issuers: [issuer, ...above], pem, thisUpdateAt, nextUpdateAt };
}
