import { createPublicKey } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkIssuedChain } from '#agent/ca/issued-chain.ts';
import { LatestWrite, type LatestWriteDeps } from '#agent/output/latest-write.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { BulwarkError, isBulwarkError, systemCode } from '#base/errors.ts';
import { ensurePrivateDirectory, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import { Secret } from '#base/secret.ts';
import { parsePrivateKeyPem } from '#pki/keys.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

export interface SecretStateOptions {
  /** The file; its folder is made when there is none. */
  readonly path: string;
  readonly identity: SpiffeId;
  readonly identityAliases: readonly SpiffeId[];
}

/** A secret from before a restart, which passed every check again. */
export interface KeptSecret {
  readonly secret: WorkloadSecret;
  /** When it was written, wall-clock milliseconds. */
  readonly savedAt: number;
}

/** The content of the file. */
interface Saved {
  readonly privateKeyPem: string;
  readonly chainPem: string;
  readonly rootsPem: string;
  readonly obtainedAt: number;
  readonly savedAt: number;
}

/** Permission bits that let the group or others in. */
const OTHERS = 0o077;

/**
 * The last key and certificate of a workload, on disk for the user of the agent only: so that a
 * machine that proved itself once (a join token) is still itself after a restart. What is kept
 * counts as long as the certificate holds; after that the machine has to prove itself again.
 */
export class SecretState implements Component {
  readonly name = 'secret state';
  readonly #options: SecretStateOptions;
  readonly #deps: LatestWriteDeps;
  readonly #writes: LatestWrite<WorkloadSecret>;

  constructor(options: SecretStateOptions, deps: LatestWriteDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#writes = new LatestWrite('the kept certificate', (secret) => this.#write(secret), deps);
  }

  /**
   * Makes sure of the folder.
   * @throws BulwarkError FILES_UNWRITABLE; FILES_TOO_OPEN when others may enter it
   */
  async start(): Promise<void> {
    const folder = dirname(this.#options.path);
    await ensurePrivateDirectory(folder);
    checkOwn(folder, await stat(folder));
    this.#deps.log.info('the private key is kept on disk, as stateDirectory says', { folder });
  }

  /**
   * What was kept; undefined when there is none, or it cannot be used any more, which is logged.
   * @throws BulwarkError FILES_TOO_OPEN when somebody else could have read or made the file
   */
  async read(): Promise<KeptSecret | undefined> {
    const { path } = this.#options;
    const status = await statusOf(path);
    if (!status) return undefined;
    checkOwn(path, status);
    try {
      return this.#checked(parseSaved(String(await readSecretFile(path))));
    } catch (error) {
      if (!isBulwarkError(error)) throw error;
      this.#deps.log.warn('the kept certificate is not used: the workload has to prove itself', {
        path,
        error,
      });
      return undefined;
    }
  }

  /** Keeps this from now on. The secret must have passed its checks. */
  publish(secret: WorkloadSecret): void {
    this.#writes.publish(secret);
  }

  close(): Promise<void> {
    return this.#writes.close();
  }

  #checked(saved: Saved): KeptSecret {
    const { identity, identityAliases } = this.#options;
    const { chainPem, rootsPem, obtainedAt, savedAt } = saved;
    const privateKey = parsePrivateKeyPem(saved.privateKeyPem);
    const issued = checkIssuedChain([chainPem, rootsPem], {
      keys: { privateKey, publicKey: createPublicKey(privateKey) },
      identity,
      identityAliases,
      at: this.#deps.clock.now(),
    });
    const { serial, notBeforeAt, notAfterAt } = issued.leaf;
    const secret = {
      identity: issued.identity,
      privateKeyPem: new Secret(saved.privateKeyPem),
      chainPem: issued.chainPem,
      rootsPem: issued.rootsPem,
      ...{ serial, notBeforeAt, notAfterAt, obtainedAt },
    };
    return { secret, savedAt };
  }

  async #write({ privateKeyPem, chainPem, rootsPem, obtainedAt }: WorkloadSecret): Promise<void> {
    const savedAt = this.#deps.clock.now();
    const texts = { privateKeyPem: privateKeyPem.reveal(), chainPem, rootsPem };
    const saved: Saved = { ...texts, obtainedAt, savedAt };
    await writeFileAtomic(this.#options.path, `${JSON.stringify(saved)}\n`);
  }
}

/** Of the file itself: a link could lead to what somebody else made. */
async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function checkOwn(path: string, status: Stats): void {
  const isForeign = process.getuid !== undefined && status.uid !== process.getuid();
  if (!status.isSymbolicLink() && !isForeign && (status.mode & OTHERS) === 0) return;
  const problem = isForeign ? 'belongs to somebody else' : 'may be reached by others';
  throw new BulwarkError('FILES_TOO_OPEN', `${path} is to keep private keys, but ${problem}`, {
    remedy: 'remove it, or name another stateDirectory; the machine then has to join again',
    data: { path },
  });
}

function parseSaved(text: string): Saved {
  const fail = (): BulwarkError => new BulwarkError('PKI_MALFORMED', 'the file does not read');
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw fail(); // the cause may quote the key
  }
  const { privateKeyPem, chainPem, rootsPem, obtainedAt, savedAt } = (found ?? {}) as Saved;
  const texts = [privateKeyPem, chainPem, rootsPem];
  const times = [obtainedAt, savedAt];
  if (!texts.every((one) => typeof one === 'string')) throw fail();
  if (!times.every((one) => Number.isSafeInteger(one))) throw fail();
  return { privateKeyPem, chainPem, rootsPem, obtainedAt, savedAt };
}
