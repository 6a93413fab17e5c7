import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { BulwarkError } from '#base/errors.ts';

/** A file of roots, and the host that it is for; without one, for every host. */
interface RootsFile {
  readonly host: string | undefined;
  readonly path: string;
}

/**
 * The roots that servers of keys are verified with: those of Node, those that the operator gives
 * for every host, and, where there are some for a host of its own, only these.
 */
export class ExtraRoots {
  readonly #files: readonly RootsFile[];

  /** `entries`: `PATH`, or `HOST=PATH`. */
  constructor(entries: readonly string[]) {
    this.#files = entries.map((entry) => {
      const at = entry.indexOf('=');
      if (at < 0) return { host: undefined, path: entry };
      return { host: entry.slice(0, at).toLowerCase(), path: entry.slice(at + 1) };
    });
  }

  /**
   * PEM texts for a host; undefined = Node's own. Read anew each time, so that a file may change.
   * @throws BulwarkError JWKS_FETCH_FAILED when a file cannot be read
   */
  async for(host: string): Promise<readonly string[] | undefined> {
    const own = this.#files.filter((file) => file.host === host.toLowerCase());
    const common = this.#files.filter((file) => file.host === undefined);
    if (own.length > 0) return Promise.all(own.map(read));
    if (common.length === 0) return undefined;
    return [...rootCertificates, ...(await Promise.all(common.map(read)))];
  }
}

async function read({ path }: RootsFile): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new BulwarkError('JWKS_FETCH_FAILED', `cannot read the roots in ${path}`, { cause });
  }
}
