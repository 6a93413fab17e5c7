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
const WRITE_DELAY_MS = { min: 20, max: 1000 };
/** Between two writes there is so many times what one takes. */
const REST_FACTOR = 10;

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
  #written = '';
  #delayMs = WRITE_DELAY_MS.min;
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
      this.#timer ??= clock.after(this.#delayMs, () => this.#write());
    });
  }

  /** Resolves when whoever is here now is on the disk: before a step that would forget the rest. */
  async flush(): Promise<void> {
    if (this.#timer) this.#write();
    await this.#writing;
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    if (this.#timer) this.#write();
    await this.#writing;
  }

  #write(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { peers, clock, log } = this.#deps;
    const startMs = clock.monotonicMs();
    const known = peers.all().map(({ nodeId, identity, namespace, workloadName, certificate }) => {
      const { serial, authorityKeyId, notAfterAt } = certificate;
      const held = { serial, authorityKeyId, notAfterAt };
      return { nodeId, identity, namespace, workloadName, certificate: held };
    });
    const text = JSON.stringify(known);
    if (text === this.#written) return;
    this.#written = text;
    this.#writing = this.#writing
      .then(() => writeFileAtomic(this.#path, text))
      .catch((error: unknown) => {
        this.#written = '';
        log.error('who is connected could not be written', { path: this.#path, error });
      })
      .then(() => {
        const tookMs = clock.monotonicMs() - startMs;
        const { min, max } = WRITE_DELAY_MS;
        this.#delayMs = Math.min(max, Math.max(min, tookMs * REST_FACTOR));
      });
  }
}
