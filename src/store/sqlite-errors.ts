import { BulwarkError, isBulwarkError, systemCode } from '#base/errors.ts';

/** Primary result codes of SQLite (sqlite.org/rescode.html); the low byte of an extended code. */
const SQLITE = { BUSY: 5, LOCKED: 6, CORRUPT: 11, FULL: 13, CANTOPEN: 14, NOTADB: 26 } as const;

/** The typed error for what node:sqlite threw about the database at `path`. */
export function storeError(path: string, cause: unknown): BulwarkError {
  if (isBulwarkError(cause)) return cause;
  const data = { path };
  if (systemCode(cause)?.startsWith('E') && resultCode(cause) === undefined) {
    return new BulwarkError('FILES_UNWRITABLE', `cannot write ${path}`, {
      remedy: 'check owner and permissions of the file and its directory',
      data,
      cause,
    });
  }
  switch (resultCode(cause)) {
    case SQLITE.FULL:
      return new BulwarkError('FILES_DISK_FULL', `no space left to write ${path}`, {
        remedy: 'free space on that disk; nothing was lost',
        data,
        cause,
      });
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB:
      return corrupt(path, cause);
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return new BulwarkError('STORE_IN_USE', `${path} is in use by another process`, {
        remedy: 'stop the other server, or give this one a data folder of its own',
        data,
        cause,
      });
    case SQLITE.CANTOPEN:
      return new BulwarkError('STORE_WRITE_FAILED', `cannot open ${path}`, {
        remedy: 'check owner and permissions of the file and its directory',
        data,
        cause,
      });
    default:
      return new BulwarkError('STORE_WRITE_FAILED', `cannot write ${path}`, {
        remedy: 'check the disk; nothing that was acknowledged is lost',
        data,
        cause,
      });
  }
}

/** The database does not read back. */
export function corrupt(path: string, cause: unknown): BulwarkError {
  return new BulwarkError('STORE_CORRUPT', `${path} is damaged or is not a store of this program`, {
    remedy: `restore ${path} (with its -wal file) from a backup, or move it away to start empty`,
    data: { path },
    cause,
  });
}

function resultCode(cause: unknown): number | undefined {
  if (!(cause instanceof Error) || !('errcode' in cause)) return undefined;
  return typeof cause.errcode === 'number' ? cause.errcode & 0xff : undefined;
}
