import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LatestWrite, type LatestWriteDeps } from '#agent/output/latest-write.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { BulwarkError } from '#base/errors.ts';
import { ensurePrivateDirectory, OWNER_ONLY } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';

export interface CertificateFilesOptions {
  /** Absolute; made when there is none. */
  readonly directory: string;
  /** Called when the first files are there. */
  readonly onWritten: () => void;
}

/** The link to the folder with the present files, as Kubernetes has it in its volumes. */
const CURRENT = '..data';
/** A folder with one key and what belongs to it. */
const GENERATION = /^\.\.[0-9a-f]{16}$/;
/** Permission bits that let the group or others write. */
const OTHERS_WRITE = 0o022;

/**
 * Key, chain and roots of a workload as `key.pem`, `cert-chain.pem` and `root-cert.pem` in a
 * folder, as Istio's agent writes them: for applications that do TLS themselves and want files. The
 * three names are links through one link, `..data`, to a folder that is complete before that link
 * is moved: no new certificate is ever beside an old key. The files stay when the agent ends, so
 * that the application can start before the agent does.
 */
export class CertificateFiles implements Component {
  readonly name = 'certificate files';
  readonly #directory: string;
  readonly #onWritten: () => void;
  #areThere = false;
  readonly #deps: LatestWriteDeps;
  readonly #writes: LatestWrite<WorkloadSecret>;

  constructor({ directory, onWritten }: CertificateFilesOptions, deps: LatestWriteDeps) {
    this.#directory = directory;
    this.#onWritten = onWritten;
    this.#deps = deps;
    this.#writes = new LatestWrite('the certificate files', (secret) => this.#write(secret), deps);
  }

  /**
   * Makes sure of the folder.
   * @throws BulwarkError FILES_UNWRITABLE or FILES_TOO_OPEN: who may write there could swap the key
   */
  async start(): Promise<void> {
    const path = this.#directory;
    await ensurePrivateDirectory(path);
    const { mode, uid } = await stat(path);
    if ((mode & OTHERS_WRITE) !== 0 || (process.getuid && uid !== process.getuid())) {
      throw new BulwarkError('FILES_TOO_OPEN', `others may write in ${path}, the place for keys`, {
        remedy: `chown it to the user of the agent and chmod 700 ${path}`,
        data: { path },
      });
    }
    this.#deps.log.warn('the private key is written to disk, as outputCerts says', { path });
  }

  /** Writes these files, and goes on trying until they are written or replaced by later ones. */
  publish(secret: WorkloadSecret): void {
    this.#writes.publish(secret);
  }

  /** Whether there are files of this agent. */
  get areThere(): boolean {
    return this.#areThere;
  }

  async close(): Promise<void> {
    await this.#writes.close();
  }

  async #write({ privateKeyPem, chainPem, rootsPem }: WorkloadSecret): Promise<void> {
    const files = {
      'key.pem': privateKeyPem.reveal(),
      'cert-chain.pem': chainPem,
      'root-cert.pem': rootsPem,
    };
    const generation = `..${randomBytes(8).toString('hex')}`;
    const folder = join(this.#directory, generation);
    try {
      await mkdir(folder, { mode: 0o700 });
      for (const [name, content] of Object.entries(files)) {
        await writeSynced(join(folder, name), content);
      }
      await this.#link(CURRENT, generation);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    for (const name of Object.keys(files)) await this.#link(name, join(CURRENT, name));
    await this.#removeOthers(generation);
    if (this.#areThere) return;
    this.#areThere = true;
    this.#onWritten();
  }

  /** Makes a name lead there, whatever it was before, in one step. */
  async #link(name: string, target: string): Promise<void> {
    const path = join(this.#directory, name);
    if ((await readlink(path).catch(() => undefined)) === target) return;
    const temporary = `${path}.new`;
    await rm(temporary, { force: true });
    await symlink(target, temporary);
    await rename(temporary, path);
  }

  /** Old keys are not kept. */
  async #removeOthers(generation: string): Promise<void> {
    const names = await readdir(this.#directory);
    const old = names.filter((name) => GENERATION.test(name) && name !== generation);
    for (const name of old) {
      await rm(join(this.#directory, name), { recursive: true, force: true });
    }
  }
}

async function writeSynced(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
