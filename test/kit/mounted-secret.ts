import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Secret } from '#api/kinds/secret.ts';

/**
 * A Secret as a pod sees it: one file for each value, and all of them replaced at one moment. As
 * kubelet does it, the files are links into `..data`, which is itself a link that is swapped.
 */
export class MountedSecret {
  readonly directory: string;
  #version: string | undefined;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { mode: 0o700 });
  }

  /** The resource version of what is mounted. */
  get version(): string | undefined {
    return this.#version;
  }

  /** Puts the values of this Secret in place of those before. */
  update({ data = {}, metadata }: Secret): void {
    const { resourceVersion = '' } = metadata;
    if (resourceVersion === this.#version) return;
    const name = `..${resourceVersion}`;
    mkdirSync(join(this.directory, name), { mode: 0o700 });
    for (const [key, value] of Object.entries(data)) {
      writeFileSync(join(this.directory, name, key), Buffer.from(value, 'base64'), { mode: 0o600 });
      if (this.#version === undefined) symlinkSync(join('..data', key), join(this.directory, key));
    }
    const link = join(this.directory, '..data_tmp');
    symlinkSync(name, link);
    renameSync(link, join(this.directory, '..data'));
    if (this.#version !== undefined) {
      rmSync(join(this.directory, `..${this.#version}`), { recursive: true });
    }
    this.#version = resourceVersion;
  }
}
