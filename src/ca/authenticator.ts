import { bearerTokenOf } from '#base/bearer-token.ts';
import { BulwarkError } from '#base/errors.ts';
import type { GrpcCall } from '#base/grpc/grpc.ts';
import { type SpiffeId, type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

/** Somebody who proved who it is. */
export interface ProvenCaller {
  readonly identity: SpiffeId;
}

/** Finds out who sends a call. One implementation for each kind of proof. */
export interface Authenticator {
  /**
   * @throws BulwarkError CA_UNAUTHENTICATED with the reason, for the log only; SPIFFE_INVALID when
   *   the caller is known but its names cannot form an identity
   */
  authenticate(call: Pick<GrpcCall, 'metadata' | 'peer'>): Promise<ProvenCaller>;
}

/** What a token turned out to be; the answer of a Kubernetes TokenReview, read. */
export type TokenReview =
  | {
      readonly authenticated: true;
      readonly namespace: string;
      readonly serviceAccount: string;
    }
  | { readonly authenticated: false; readonly error: string };

/** Asks whoever issued the tokens. A token is good for one of the audiences or not at all. */
export type ReviewToken = (token: string, audiences: readonly string[]) => Promise<TokenReview>;

/** Whose tokens, and which, are good here. */
export interface TokenAuthenticatorOptions {
  readonly trustDomain: TrustDomain;
  /** A token must be meant for one of these. */
  readonly audiences: readonly string[];
}

/** Knows callers by the service account token in `authorization: Bearer …`. */
export class TokenAuthenticator implements Authenticator {
  readonly #options: TokenAuthenticatorOptions;
  readonly #reviewToken: ReviewToken;

  constructor(
    options: TokenAuthenticatorOptions,
    { reviewToken }: { readonly reviewToken: ReviewToken },
  ) {
    this.#options = options;
    this.#reviewToken = reviewToken;
  }

  async authenticate({ metadata }: Pick<GrpcCall, 'metadata'>): Promise<ProvenCaller> {
    const { trustDomain, audiences } = this.#options;
    const token = bearerTokenOf(metadata.authorization);
    if (token === undefined)
      throw new BulwarkError('CA_UNAUTHENTICATED', 'the call carries no bearer token');
    const review = await this.#reviewToken(token, audiences);
    if (!review.authenticated)
      throw new BulwarkError('CA_UNAUTHENTICATED', `the token does not hold: ${review.error}`);
    const { namespace, serviceAccount } = review;
    return { identity: workloadSpiffeId({ trustDomain, namespace, serviceAccount }) };
  }
}
