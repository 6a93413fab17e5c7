import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Algorithms that a test key signs with. */
type TokenAlgorithm = 'RS256' | 'ES256';

/** What a token may say beside what every one says. */
export interface TokenParts {
  /** Claims; undefined takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly subject?: string;
}

/** Claims of a token are in seconds since 1970. */
const YEAR_SECONDS = 365 * 24 * 3600;

/** Who signs tokens in tests; each has a key of its own. */
export class TokenIssuer {
  readonly issuer: string;
  readonly keyId: string;
  readonly #algorithm: TokenAlgorithm;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  constructor(issuer: string, options: { algorithm?: TokenAlgorithm; keyId?: string } = {}) {
    this.issuer = issuer;
    this.keyId = options.keyId ?? 'key-1';
    this.#algorithm = options.algorithm ?? 'ES256';
    const { privateKey, publicKey } =
      this.#algorithm === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
  }

  /** The public key as a JSON Web Key. */
  get key(): Readonly<Record<string, unknown>> {
    return { ...this.#publicKey.export({ format: 'jwk' }), kid: this.keyId, use: 'sig' };
  }

  /** The private key as a JSON Web Key: what must never get anywhere. */
  get privateKey(): Readonly<Record<string, unknown>> {
    return { ...this.#privateKey.export({ format: 'jwk' }), kid: this.keyId };
  }

  /** The public key as a text, PEM. */
  get publicPem(): string {
    return this.#publicKey.export({ type: 'spki', format: 'pem' }) as string;
  }

  /** The key set with this key alone. */
  get keySet(): string {
    return JSON.stringify({ keys: [this.key] });
  }

  /** A token: valid for a year unless its parts say otherwise. */
  token(parts: TokenParts = {}): string {
    const body = this.#unsigned(parts);
    const key = this.#privateKey;
    const signature =
      this.#algorithm === 'RS256'
        ? sign('sha256', Buffer.from(body), key)
        : sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' });
    return `${body}.${signature.toString('base64url')}`;
  }

  /** A token that says it is signed in another way, with what that way gives. */
  forged(header: Readonly<Record<string, unknown>>, secret: string | undefined): string {
    const body = this.#unsigned({ header });
    const signature =
      secret === undefined ? '' : createHmac('sha256', secret).update(body).digest('base64url');
    return `${body}.${signature}`;
  }

  #unsigned({ claims, header, subject = 'alice' }: TokenParts): string {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.issuer, sub: subject, iat: now, exp: now + YEAR_SECONDS, ...claims };
    const head = { alg: this.#algorithm, kid: this.keyId, typ: 'JWT', ...header };
    return [head, all]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
  }
}
