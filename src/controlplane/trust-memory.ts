import type { Clock, Timer } from '#base/clock.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { TrustPeerIdentity, TrustPeers } from '#xds/serve/trust-peers.ts';

export interface TrustMemoryDeps {
  readonly peers: TrustPeers;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Changes within so many milliseconds are written together. */
const WRITE_DELAY_MS = 1000;

/**
 * The workloads that were here before a restart.
 * @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN
 */
export async function readTrustMemory(
  path: string,
  { log }: Pick<TrustMemoryDeps, 'log'>,
): Promise<readonly TrustPeerIdentity[]> {
  if (!(await pathExists(path))) return [];
  const text = String(await readSecretFile(path));
  try {
    const known = JSON.parse(text) as readonly TrustPeerIdentity[];
    if (!known.every(isWhole)) throw new Error('an entry is not whole');
    return known;
  } catch (error) {
    log.error('who was connected before is not known', { path, error });
    return [];
  }
}

function isWhole({ identity, nodeId, certificate }: Partial<TrustPeerIdentity>): boolean {
  const texts = [identity, nodeId, certificate?.serial];
  return texts.every((text) => typeof text === 'string') && Number(certificate?.notAfterAt) > 0;
}

/**
 * Keeps over a restart who is out there: after it nobody has reported back yet, and a step of the
 * rotation would find nobody missing.
 */
export class TrustMemory implements Component {
  readonly name = 'trust-memory';
  readonly #path: string;
  readonly #deps: TrustMemoryDeps;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => {};

  /** @param path the file */
  constructor(path: string, deps: TrustMemoryDeps) {
    this.#path = path;
    this.#deps = deps;
  }

  /** @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN */
  async start(): Promise<void> {
    const { peers, clock } = this.#deps;
    peers.restore(await readTrustMemory(this.#path, this.#deps));
    this.#unsubscribe = peers.onChange(() => {
      this.#timer ??= clock.after(WRITE_DELAY_MS, () => this.#write());
    });
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    if (this.#timer) this.#write();
    await this.#writing;
  }

  #write(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { peers, log } = this.#deps;
    const known = peers.all().map(({ nodeId, identity, namespace, workloadName, certificate }) => {
      const { serial, authorityKeyId, notAfterAt } = certificate;
      const held = { serial, authorityKeyId, notAfterAt };
      return { nodeId, identity, namespace, workloadName, certificate: held };
    });
    this.#writing = this.#writing.then(() =>
      writeFileAtomic(this.#path, JSON.stringify(known)).catch((error) =>
        log.error('who is connected could not be written', { path: this.#path, error }),
      ),
    );
  }
}
