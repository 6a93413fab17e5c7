import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { present } from '#base/assert.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import type { JwtAuthority } from '#spiffe/bundle.ts';

export interface JwtKeysOptions {
  /** The file that keeps them; for its owner only. */
  readonly path: string;
  /** The longest life of a token, milliseconds: so long is a key published after its last use. */
  readonly tokenMsMax: number;
}

export interface JwtKeysDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** A key of the authority for tokens. */
export interface JwtKey {
  /** The thumbprint of the public half (RFC 7638), which tokens carry. */
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** Wall-clock milliseconds. */
  readonly createdAt: number;
}

const HOUR_MS = 3_600_000;
/** A new key is made this long after the one before. */
const PERIOD_MS = 24 * HOUR_MS;
/** And published so long before it signs, so that everybody knows it by then. */
const AHEAD_MS = HOUR_MS;
/** Clocks of those who verify may be so far behind. */
const SKEW_MS = 5 * 60_000;
const LOOK_MS = 60_000;
const REMEDY = 'restore it from a backup, or remove it: tokens then end at once, and new keys sign';

/**
 * The keys that sign tokens of workloads. A new one is made every day, is published an hour before
 * it signs, and stays published until the last token of it has ended: so no valid token is refused.
 * What a key does follows from when it was made, so a restart or a crash changes nothing.
 */
export class JwtKeys implements Component {
  readonly name = 'jwt-keys';
  readonly #options: JwtKeysOptions;
  readonly #deps: JwtKeysDeps;
  readonly #listeners: (() => void)[] = [];
  /** The oldest first. */
  #keys: readonly JwtKey[] = [];
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: JwtKeysOptions, deps: JwtKeysDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The public halves, to be published. */
  get authorities(): readonly JwtAuthority[] {
    return this.#keys.map(({ kid, privateKey }) => ({ ...publicJwk(privateKey), kid }));
  }

  /** The newest key that was published for long enough; while there is none, the oldest. */
  get signer(): JwtKey {
    const now = this.#deps.clock.now();
    const known = this.#keys.findLast(({ createdAt }) => createdAt + AHEAD_MS <= now);
    return present(known ?? this.#keys[0], 'a key of started JWT keys');
  }

  /** Calls `listener` after each change of `authorities`. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Reads the keys, or makes the first.
   * @throws BulwarkError CA_KEY_UNUSABLE, FILES_TOO_OPEN, FILES_UNREADABLE, FILES_UNWRITABLE,
   *   FILES_DISK_FULL
   */
  async start(): Promise<void> {
    const { path } = this.#options;
    if (await pathExists(path)) this.#keys = parseKeys(await readSecretFile(path), path);
    await this.#turn();
    this.#lookLater();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      this.#turn()
        .catch((error) => this.#deps.log.error('the keys for tokens cannot be kept', { error }))
        .finally(() => this.#lookLater());
    });
  }

  /** On the disk first, then in use. */
  async #turn(): Promise<void> {
    const now = this.#deps.clock.now();
    const { tokenMsMax, path } = this.#options;
    const kept = this.#keys.filter((_, index) => {
      const next = this.#keys[index + 1];
      return !next || next.createdAt + AHEAD_MS + tokenMsMax + SKEW_MS > now;
    });
    const newest = kept.at(-1);
    const isDue = !newest || newest.createdAt + PERIOD_MS <= now;
    const keys = isDue ? [...kept, makeKey(now)] : kept;
    if (keys.length === this.#keys.length && !isDue) return;
    await writeFileAtomic(path, formatKeys(keys));
    this.#keys = keys;
    this.#deps.log.info('keys for tokens', { keys: keys.map(({ kid }) => kid) });
    for (const listener of this.#listeners) listener();
  }
}

function makeKey(createdAt: number): JwtKey {
  const { privateKey } = generateKeyPair();
  return { kid: thumbprint(privateKey), privateKey, createdAt };
}

/** `kty` and what belongs to it. */
function publicJwk(privateKey: KeyObject) {
  const {
    crv = '',
    kty = '',
    x = '',
    y = '',
  } = createPublicKey(privateKey).export({
    format: 'jwk',
  });
  return { crv, kty, x, y };
}

function thumbprint(privateKey: KeyObject): string {
  return createHash('sha256')
    .update(JSON.stringify(publicJwk(privateKey)))
    .digest('base64url');
}

function formatKeys(keys: readonly JwtKey[]): string {
  const written = keys.map(({ createdAt, privateKey }) => ({
    createdAt: new Date(createdAt).toISOString(),
    privateKey: privateKeyToPem(privateKey).reveal(),
  }));
  return `${JSON.stringify({ keys: written }, null, 1)}\n`;
}

function parseKeys(text: Buffer, path: string): readonly JwtKey[] {
  try {
    const { keys } = JSON.parse(text.toString('utf8')) as {
      keys: readonly { readonly createdAt: string; readonly privateKey: string }[];
    };
    return keys.map((written) => {
      const privateKey = createPrivateKey(written.privateKey);
      const createdAt = Date.parse(written.createdAt);
      if (!Number.isFinite(createdAt) || publicJwk(privateKey).crv !== 'P-256')
        throw new TypeError('not a P-256 key with a time');
      return { kid: thumbprint(privateKey), privateKey, createdAt };
    });
  } catch {
    // Without the cause: what a parser says of a file of keys may hold a piece of one.
    const message = `${path} does not hold the keys for tokens`;
    throw new BulwarkError('CA_KEY_UNUSABLE', message, { remedy: REMEDY });
  }
}
