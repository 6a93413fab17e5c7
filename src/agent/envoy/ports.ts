import { createServer, type Server } from 'node:net';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { present } from '#base/assert.ts';
import { BulwarkError, systemCode } from '#base/errors.ts';

/**
 * Ports of a workload's Envoy in explicit mode; goes to the control plane as node metadata
 * BULWARK_EXPLICIT.
 */
export interface ChosenPorts {
  /** Address that inbound listeners bind and peers connect to. */
  readonly inboundAddress: string;
  /** For each application port, the port on which the Envoy takes calls for it. */
  readonly inbound: readonly {
    readonly name: string;
    readonly port: number;
    readonly listen: number;
  }[];
  /** The HTTP proxy, on loopback. */
  readonly httpProxyPort: number;
  /** Local listeners for single services, on loopback. */
  readonly upstreams: readonly {
    readonly host: string;
    readonly port: number;
    readonly listen: number;
  }[];
}

/** Where proxies for the application itself listen. */
export const LOOPBACK = '127.0.0.1';
/** Chosen before: an Envoy of this agent may be about to bind it. */
const CHOSEN = new Set<number>();

/**
 * Chooses the ports that the configuration leaves open, all different, and makes sure that the
 * given ones are free. They are free at this moment only: another process may be quicker than
 * Envoy, which is noticed by its failure to bind and answered by a new choice.
 * @throws BulwarkError NET_PORT_TAKEN that names a given port in use
 */
export async function choosePorts(workload: WorkloadOptions): Promise<ChosenPorts> {
  const inboundAddress = present(workload.addresses[0], 'the address of the workload');
  const wanted = [
    ...workload.ports.map(({ listen }) => ({ address: inboundAddress, port: listen })),
    { address: LOOPBACK, port: workload.httpProxyPort },
    ...workload.upstreams.map(({ listen }) => ({ address: LOOPBACK, port: listen })),
  ];
  const listens = await reservePorts(wanted);
  const { ports, upstreams } = workload;
  const take = (index: number): number => present(listens[index], 'a reserved port');
  return {
    inboundAddress,
    inbound: ports.map(({ name, port }, index) => ({ name, port, listen: take(index) })),
    httpProxyPort: take(ports.length),
    upstreams: upstreams.map(({ host, port }, index) => ({
      host,
      port,
      listen: take(ports.length + 1 + index),
    })),
  };
}

/** The ports that Envoy must listen on before the workload is usable. */
export function compulsoryPorts({ inbound, httpProxyPort }: ChosenPorts): readonly number[] {
  return [...inbound.map(({ listen }) => listen), httpProxyPort];
}

/**
 * Free ports, one for each wish; port 0 is any that was not chosen before.
 * @throws BulwarkError NET_PORT_TAKEN
 */
export async function reservePorts(
  wanted: readonly { readonly address: string; readonly port: number }[],
): Promise<readonly number[]> {
  const held: Server[] = [];
  const ports = new Array<number>(wanted.length).fill(0);
  try {
    // Given ports first, so that a chosen one cannot be one of them; all held until the last is
    // bound.
    const order = [...wanted.keys()].sort((a, b) => rank(wanted[a]) - rank(wanted[b]));
    for (const index of order) {
      const { address, port } = present(wanted[index], 'a wanted port');
      let chosen = port;
      do {
        const server = await hold(address, port);
        held.push(server);
        chosen = portOf(server);
      } while (port === 0 && CHOSEN.has(chosen));
      CHOSEN.add(chosen);
      ports[index] = chosen;
    }
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
  return ports;
}

function portOf(server: Server): number {
  const bound = server.address();
  return typeof bound === 'object' && bound ? bound.port : 0;
}

function rank(wish: { readonly port: number } | undefined): number {
  return wish?.port === 0 ? 1 : 0;
}

function hold(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (cause) => {
      const taken = systemCode(cause) === 'EADDRINUSE';
      const message = taken
        ? `port ${port} on ${address} is in use`
        : `cannot listen on ${address} port ${port}`;
      reject(
        new BulwarkError(taken ? 'NET_PORT_TAKEN' : 'NET_LISTEN_FAILED', message, {
          remedy: taken ? 'choose another one, or 0 for a free one' : 'check the address',
          data: { address, port },
          cause,
        }),
      );
    });
    server.listen({ host: address, port, exclusive: true }, () => resolve(server));
  });
}
