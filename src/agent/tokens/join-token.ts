import type { TokenSource } from '#agent/tokens/token-source.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import { readSecretFile } from '#base/files.ts';
import { Secret } from '#base/secret.ts';

/** Where a join token is: given as it is, or in a file. */
export interface JoinTokenOptions {
  readonly token?: Secret<string> | undefined;
  /** Read again for each use, so that a new token can be put there. */
  readonly file?: string | undefined;
}

const ANOTHER = 'make another with "bulwark join create" and give it to the agent';

/**
 * A join token: good for one certificate, which then renews itself. It is asked for again only when
 * that certificate was lost or expired; then a token that was refused is not tried twice.
 */
export class JoinTokenSource implements TokenSource {
  readonly description: string;
  readonly isForJoining = true;
  readonly #options: JoinTokenOptions;
  #given: string | undefined;
  #refused: string | undefined;

  constructor(options: JoinTokenOptions) {
    const { file } = options;
    this.description = file === undefined ? 'join token' : `join token in ${file}`;
    this.#options = options;
  }

  async token(): Promise<Secret<string>> {
    const text = await this.#read();
    if (text === this.#refused) {
      const message = `the ${this.description} was not accepted: used, revoked or expired`;
      throw new BulwarkError('AGENT_TOKEN_UNREADABLE', message, { remedy: ANOTHER });
    }
    this.#given = text;
    return new Secret(text);
  }

  wasRefused(): void {
    this.#refused = this.#given;
  }

  async #read(): Promise<string> {
    const { token, file = '' } = this.#options;
    if (token) return token.reveal().trim();
    try {
      return (await readSecretFile(file)).toString('utf8').trim();
    } catch (cause) {
      const message = `the ${this.description} cannot be used: ${describeError(cause)}`;
      throw new BulwarkError('AGENT_TOKEN_UNREADABLE', message, { remedy: ANOTHER, cause });
    }
  }
}
