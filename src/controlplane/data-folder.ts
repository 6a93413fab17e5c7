import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BulwarkError } from '#base/errors.ts';
import { ensurePrivateDirectory, removeLeftovers } from '#base/files.ts';

/** Paths of what a server keeps, below its data folder. */
export interface DataPaths {
  readonly store: string;
  readonly ca: string;
  readonly access: string;
  /** Keys of issuers of tokens. */
  readonly keys: string;
  /** Lists that listcheckers of Mixer take from elsewhere. */
  readonly lists: string;
  /** Records of calls and changes. */
  readonly audit: string;
  readonly kubeconfig: string;
  readonly addresses: string;
  readonly rootCertificate: string;
}

/** A server's data folder, held by one process at a time. */
export class DataFolder {
  readonly path: string;
  readonly paths: DataPaths;
  #lock: DatabaseSync | undefined;

  constructor(path: string) {
    this.path = path;
    this.paths = {
      store: join(path, 'store'),
      ca: join(path, 'ca'),
      access: join(path, 'access'),
      keys: join(path, 'keys'),
      lists: join(path, 'lists'),
      audit: join(path, 'audit'),
      kubeconfig: join(path, 'admin.kubeconfig'),
      addresses: join(path, 'addresses.json'),
      rootCertificate: join(path, 'root-cert.pem'),
    };
  }

  /**
   * Makes the folder, for the owner only, takes it, and removes what a crash left half written. The
   * lock is SQLite's on a file of its own:
   * the system drops it when the process ends, however it ends.
   * @throws BulwarkError FILES_UNWRITABLE, also when another server holds the folder
   */
  async open(): Promise<void> {
    await ensurePrivateDirectory(this.path);
    let lock: DatabaseSync | undefined;
    try {
      lock = new DatabaseSync(join(this.path, 'lock'));
      lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
      this.#lock = lock;
    } catch (cause) {
      lock?.close();
      const busy = cause instanceof Error && /locked|busy/i.test(cause.message);
      throw new BulwarkError(
        'FILES_UNWRITABLE',
        busy ? `another server uses the data folder ${this.path}` : `cannot use ${this.path}`,
        {
          remedy: busy ? 'stop it, or name another folder with --data' : 'check its owner and mode',
          cause,
        },
      );
    }
    const { ca, access } = this.paths;
    for (const directory of [this.path, ca, access]) await removeLeftovers(directory);
  }

  close(): void {
    this.#lock?.close();
    this.#lock = undefined;
  }
}
