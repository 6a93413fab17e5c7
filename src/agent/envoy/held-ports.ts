import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '#base/grpc/listener.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';

/** `port 8080` or `policy 8080 <version>`, as the control plane writes them (`xds/generate`). */
const LINE = /^(port|policy) (\d{1,5})(?: [\w-]{1,64})?$/;
/** What Envoy waits for. */
const ANSWER = 'ok\n';

/** What was said on a connection. */
interface Said {
  readonly what: 'port' | 'policy';
  readonly port: string;
}

/**
 * Ends the open connections to a port when the policy that let them in is no longer in force.
 *
 * Envoy ends all TCP connections to an endpoint at once when its health check fails. So it is given
 * a check of another kind: for each port it keeps a connection to this socket, which says `port N`,
 * and the endpoint is healthy while it stays. Another connection says `policy N <version>`; it
 * belongs to a cluster that the control plane removes after it has brought a new policy into force.
 * When that one ends, so does the one of the port here; Envoy makes it anew at once. The agent
 * holds no policy and decides nothing.
 */
export class HeldPorts implements Component {
  readonly name = 'held-ports';
  readonly #path: string;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #said = new Map<Socket, Said | undefined>();
  /** Ports whose policy changed while nobody held them. */
  readonly #late = new Set<string>();
  #listening: Promise<void> | undefined;

  /** @param path of the unix socket; only its owner may connect */
  constructor(path: string, deps: { readonly log: Logger }) {
    this.#path = path;
    this.#log = deps.log;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = LIMITS.heldPortConnectionsMax;
  }

  /** Starts listening; nothing when it does. @throws BulwarkError as `listen` does */
  start(): Promise<void> {
    this.#listening ??= listen(this.#server, { path: this.#path }).catch((error: unknown) => {
      this.#listening = undefined;
      throw error;
    });
    return this.#listening;
  }

  async close(): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    if (!listening) return;
    await listening.catch(() => {});
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#said.keys()) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#said.set(socket, undefined);
    let text = '';
    socket.setEncoding('latin1');
    socket.on('error', () => socket.destroy());
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > LIMITS.heldPortLineBytesMax) socket.destroy();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        this.#take(socket, text.slice(0, end));
        text = text.slice(end + 1);
      }
    });
    socket.on('close', () => this.#gone(socket));
  }

  #take(socket: Socket, line: string): void {
    const [, what, port] = LINE.exec(line) ?? [];
    if ((what !== 'port' && what !== 'policy') || port === undefined) {
      socket.destroy();
      return;
    }
    // The same is said again now and then, to see that somebody is there.
    this.#said.set(socket, { what, port });
    if (what === 'port' && this.#late.delete(port)) socket.end(ANSWER);
    else socket.write(ANSWER);
  }

  #gone(socket: Socket): void {
    const said = this.#said.get(socket);
    this.#said.delete(socket);
    if (said?.what !== 'policy' || !this.#listening) return;
    const { port } = said;
    const same = [...this.#said].filter(([, other]) => other?.port === port);
    const holding = same.filter(([, other]) => other?.what === 'port');
    for (const [held] of holding) held.destroy();
    // Without another policy the port, or the Envoy, is gone.
    if (holding.length === same.length) return;
    this.#log.info('open connections to a port are ended: its policy changed', {
      port: Number(port),
    });
    // Envoy is about to hold the port again: its connections may be from before.
    if (holding.length === 0) this.#late.add(port);
  }
}
