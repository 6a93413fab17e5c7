import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Below those that Linux gives to whom does not care (32768 and up, `ip_local_port_range` in
 * ip(7)): nobody gets one of these by chance between our choice and its use.
 */
const PORTS = { first: 20_000, end: 32_000 } as const;
const LOOPBACK = '127.0.0.1';

/**
 * A TCP port on loopback for a program that must be told its own. As long as this process runs, no
 * other call gives it, here or in another process: tests run beside each other, and programs that
 * restart come back to their ports.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.first, PORTS.end);
    if ((await isClaimed(port)) && (await isFree(port))) return port;
  }
}

/** Flags of `bulwark server` for ports that nobody else takes while it is away. */
export async function serverPorts(): Promise<readonly string[]> {
  const flags: string[] = [];
  for (const name of ['api', 'secure', 'monitoring'])
    flags.push(`--${name}-port`, String(await freePort()));
  return flags;
}

/**
 * Takes the UDP port of the same number, which nothing here uses: only one process can, and it ends
 * with the process.
 */
function isClaimed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const claim = createSocket('udp4').unref();
    claim.once('error', () => {
      claim.close();
      resolve(false);
    });
    claim.bind({ port, address: LOOPBACK, exclusive: true }, () => resolve(true));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}
