import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, jwtVerify } from 'jose';

type Claims = Readonly<Record<string, unknown>>;

/** The tokens of `jwt/`: by name and, before it, by `name@release`. */
export class TokenTable {
  readonly #tokens: ReadonlyMap<string, string>;
  readonly #keys: JSONWebKeySet;

  constructor(directory: string) {
    const [, ...lines] = readFileSync(join(directory, 'jwt/tokens.tsv'), 'utf8').split('\n');
    const cells = lines.map((line) => line.split('\t'));
    this.#tokens = new Map(cells.map(([name = '', , token = '']) => [name, token]));
    this.#keys = JSON.parse(readFileSync(join(directory, 'jwt/jwks.json'), 'utf8'));
  }

  /**
   * What a token says. One that the key set of its issuers does not verify counts for as much as
   * one that expired long ago: it is given that time.
   */
  async claimsOf(name: string, release: string): Promise<Claims> {
    const token = this.#tokens.get(`${name}@${release}`) ?? this.#tokens.get(name);
    if (token === undefined) throw new Error(`there is no token ${name}`);
    try {
      const { payload } = await jwtVerify(token, createLocalJWKSet(this.#keys));
      return payload;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      return { ...this.#unverified(token), exp: 0 };
    }
  }

  #unverified(token: string): Claims {
    try {
      return decodeJwt(token);
    } catch {
      return {};
    }
  }
}
