import { stat } from 'node:fs/promises';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import { readSecretFile } from '#base/files.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';

/** Three parts in base64url between dots (RFC 7515 section 3.1). */
const COMPACT_JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Permission bits for everybody. */
const EVERYBODY = 0o007;

/**
 * A token in a file that somebody else keeps fresh, as Kubernetes does with projected tokens: read
 * again for each use. Kubernetes mounts them readable by all in the pod, so a file that is too open
 * is worth a warning and no more.
 */
export class TokenFile implements TokenSource {
  readonly description: string;
  readonly #path: string;
  readonly #log: Logger;
  #warned = false;

  constructor(path: string, deps: { readonly log: Logger }) {
    this.description = `token file ${path}`;
    this.#path = path;
    this.#log = deps.log;
  }

  async token(): Promise<Secret<string>> {
    const text = await this.#read();
    if (text.length > LIMITS.tokenBytesMax)
      throw this.#unusable(`is longer than ${LIMITS.tokenBytesMax} bytes`);
    if (!COMPACT_JWT.test(text)) throw this.#unusable('holds no token');
    await this.#warnIfTooOpen();
    return new Secret(text);
  }

  /** The next use reads the file again anyway. */
  wasRefused(): void {}

  async #read(): Promise<string> {
    try {
      const content = await readSecretFile(this.#path, { exclusive: false });
      return content.toString('utf8').trim();
    } catch (cause) {
      throw this.#unusable(`cannot be used: ${describeError(cause)}`, cause);
    }
  }

  async #warnIfTooOpen(): Promise<void> {
    if (this.#warned) return;
    const { mode } = await stat(this.#path);
    if ((mode & EVERYBODY) === 0) return;
    this.#warned = true;
    this.#log.warn('everybody on this machine may read the token file', {
      path: this.#path,
      remedy: `chmod 600 ${this.#path}`,
    });
  }

  #unusable(problem: string, cause?: unknown): BulwarkError {
    return new BulwarkError('AGENT_TOKEN_UNREADABLE', `token file ${this.#path} ${problem}`, {
      remedy: 'check tokenFile; "kubectl create token" makes a token',
      data: { path: this.#path },
      cause,
    });
  }
}
