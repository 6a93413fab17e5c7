import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BulwarkError, systemCode } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/** Read and write for the owner only. */
export const OWNER_ONLY = 0o600;
/** The permission bits that let the group or others in. */
const OTHERS = 0o077;

/**
 * Replaces a file so that a reader, and a restart after a crash, sees the old content or the new,
 * never half of it: written beside it, synced, renamed.
 * @param mode permission bits of the new file, OWNER_ONLY when left out
 * @throws BulwarkError FILES_DISK_FULL or FILES_UNWRITABLE; the old file is then untouched
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode = OWNER_ONLY,
): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeError(path, error);
  }
}

/** The name that `writeFileAtomic` gives a file until it is whole. */
const TEMPORARY = /^\.[0-9a-f]{12}\.tmp$/;

/**
 * Removes what a crash left of `writeFileAtomic` in a directory, which may hold half a secret. Only
 * for directories that no other process writes to. One that is not there has nothing in it.
 * @throws BulwarkError FILES_UNWRITABLE
 */
export async function removeLeftovers(directory: string): Promise<void> {
  try {
    for (const name of await readdir(directory))
      if (TEMPORARY.test(name)) await rm(join(directory, name), { force: true });
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw writeError(directory, cause);
  }
}

function writeError(path: string, cause: unknown): BulwarkError {
  const code = systemCode(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BulwarkError('FILES_DISK_FULL', `no space left to write ${path}`, {
      remedy: 'free space on that disk; nothing was lost',
      data: { path },
      cause,
    });
  }
  return new BulwarkError('FILES_UNWRITABLE', `cannot write ${path}`, {
    remedy:
      code === 'ENOENT' ? 'create its directory' : 'check owner and permissions of its directory',
    data: { path },
    cause,
  });
}

/**
 * Reads a file that holds a secret.
 * @param options.exclusive refuse a file that the group or others may read (default true)
 * @throws BulwarkError FILES_UNREADABLE, or FILES_TOO_OPEN
 */
export async function readSecretFile(
  path: string,
  options: { exclusive?: boolean } = {},
): Promise<Buffer> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (cause) {
    const remedy =
      systemCode(cause) === 'ENOENT' ? 'check the path' : 'check owner and permissions';
    throw new BulwarkError('FILES_UNREADABLE', `cannot read ${path}`, {
      remedy,
      data: { path },
      cause,
    });
  }
  try {
    const { mode, size } = await file.stat();
    if ((options.exclusive ?? true) && (mode & OTHERS) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(4, '0');
      throw new BulwarkError('FILES_TOO_OPEN', `${path} holds a secret but has mode ${shown}`, {
        remedy: `chmod 600 ${path}, and replace the secret if others may have read it`,
        data: { path, mode: shown },
      });
    }
    if (size > LIMITS.secretFileBytesMax) {
      throw new BulwarkError(
        'FILES_UNREADABLE',
        `${path} is larger than ${LIMITS.secretFileBytesMax} bytes`,
      );
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/**
 * Creates a directory, and those above it, that only the owner may enter; leaves an existing one as
 * it is.
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw writeError(path, cause);
  }
}

/** Whether there is a file or directory of this name. */
export async function pathExists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
