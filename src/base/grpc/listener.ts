import { chmodSync, existsSync, lstatSync, rmSync, type Stats, statSync } from 'node:fs';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { BulwarkError, systemCode } from '#base/errors.ts';
import { ensurePrivateDirectory, OWNER_ONLY } from '#base/files.ts';
import { LIMITS } from '#base/limits.ts';

/**
 * Where a server listens: an IP address and port (0 = a free one), or the path of a unix socket.
 */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

/**
 * Starts listening. A unix socket is for its owner only, in a directory that nobody else may enter;
 * the file that a dead server left is replaced. What it looks at is metadata, which is there at
 * once: giving way to others for each look would take an agent's start longer than all of them.
 * @throws BulwarkError NET_PORT_TAKEN, NET_LISTEN_FAILED, FILES_TOO_OPEN, FILES_UNWRITABLE
 */
export async function listen(server: Server, address: ListenAddress): Promise<void> {
  if ('path' in address) await prepareSocketPath(address.path);
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: unknown): void => reject(listenError(address, cause));
    server.once('error', failed);
    server.listen({ ...address, backlog: LIMITS.listenBacklog }, () => {
      server.off('error', failed);
      resolve();
    });
  });
  if ('path' in address) chmodSync(address.path, OWNER_ONLY);
}

async function prepareSocketPath(path: string): Promise<void> {
  const data = { path };
  if (Buffer.byteLength(path) > LIMITS.socketPathBytesMax) {
    throw new BulwarkError('NET_LISTEN_FAILED', `the socket path ${path} is too long`, {
      remedy: `choose one of at most ${LIMITS.socketPathBytesMax} bytes`,
      data,
    });
  }
  const directory = dirname(path);
  if (!existsSync(directory)) await ensurePrivateDirectory(directory);
  const { mode } = statSync(directory);
  if ((mode & 0o077) !== 0) {
    throw new BulwarkError('FILES_TOO_OPEN', `others may enter ${directory}, the socket's place`, {
      remedy: `chmod 700 ${directory}, or choose a directory of its own`,
      data,
    });
  }
  const present = presentAt(path);
  if (!present) return;
  if (!present.isSocket()) {
    throw new BulwarkError('NET_LISTEN_FAILED', `${path} exists and is not a socket`, {
      remedy: 'remove it or choose another path',
      data,
    });
  }
  if (await answers(path)) {
    throw new BulwarkError('NET_PORT_TAKEN', `another process listens on ${path}`, {
      remedy: 'stop that process or choose another path',
      data,
    });
  }
  rmSync(path, { force: true });
}

function presentAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined; // what cannot be looked at cannot be bound either, which is told better
  }
}

/** Whether somebody listens on a unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // EAGAIN: there is a listener with a full backlog.
    socket.once('error', (error) => resolve(systemCode(error) === 'EAGAIN'));
  });
}

function listenError(address: ListenAddress, cause: unknown): BulwarkError {
  const data = { ...address };
  if ('path' in address) {
    const message = `cannot listen on ${address.path}`;
    return new BulwarkError('NET_LISTEN_FAILED', message, {
      remedy: 'check owner and permissions of its directory',
      data,
      cause,
    });
  }
  const { host, port } = address;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  switch (systemCode(cause)) {
    case 'EADDRINUSE':
      return new BulwarkError('NET_PORT_TAKEN', `port ${port} on ${host} is in use`, {
        remedy: 'stop the process that uses it, choose another port, or 0 for a free one',
        data,
        cause,
      });
    case 'EACCES':
      return new BulwarkError('NET_LISTEN_FAILED', `no permission to listen on ${where}`, {
        remedy: 'choose a port from 1024 on, or run with the capability to bind lower ones',
        data,
        cause,
      });
    default:
      return new BulwarkError('NET_LISTEN_FAILED', `cannot listen on ${where}`, {
        remedy: 'check that the address is one of this machine',
        data,
        cause,
      });
  }
}
