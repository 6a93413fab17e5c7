import { bearerTokenOf } from '#base/bearer-token.ts';
import { BulwarkError } from '#base/errors.ts';
import type { AttestedCall, Attestor, ProvenCaller } from '#ca/authenticator.ts';
import { type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

/** What a token turned out to be; the answer of a Kubernetes TokenReview, read. */
export type TokenReview =
  | {
      readonly authenticated: true;
      readonly namespace: string;
      readonly serviceAccount: string;
      /** The token's `jti`; '' when it has none. */
      readonly tokenId?: string;
      /** The node that the token is bound to, itself or by its pod. */
      readonly node?: { readonly name: string };
    }
  | { readonly authenticated: false; readonly error: string };

/** Asks whoever issued the tokens. A token is good for one of the audiences or not at all. */
export type ReviewToken = (token: string, audiences: readonly string[]) => Promise<TokenReview>;

/** Whose tokens, and which, are good here. */
export interface ServiceAccountTokenOptions {
  readonly trustDomain: TrustDomain;
  /** A token must be meant for one of these. */
  readonly audiences: readonly string[];
}

/**
 * Knows callers by the service account token in `authorization: Bearer …`. The last attestor of a
 * list: whatever token no other one knows is taken for one of these.
 */
export class ServiceAccountTokenAttestor implements Attestor {
  readonly #options: ServiceAccountTokenOptions;
  readonly #reviewToken: ReviewToken;

  constructor(
    options: ServiceAccountTokenOptions,
    { reviewToken }: { readonly reviewToken: ReviewToken },
  ) {
    this.#options = options;
    this.#reviewToken = reviewToken;
  }

  async attest({ metadata }: AttestedCall): Promise<ProvenCaller | undefined> {
    const { trustDomain, audiences } = this.#options;
    const token = bearerTokenOf(metadata.authorization);
    if (token === undefined) return undefined;
    const review = await this.#reviewToken(token, audiences);
    if (!review.authenticated)
      throw new BulwarkError('CA_UNAUTHENTICATED', `the token does not hold: ${review.error}`);
    const { namespace, serviceAccount, tokenId = '', node } = review;
    return {
      identity: workloadSpiffeId({ trustDomain, namespace, serviceAccount }),
      method: 'service-account-token',
      proof: tokenId,
      ...(node ? { node: node.name } : {}),
    };
  }
}
