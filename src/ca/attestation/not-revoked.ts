import { BulwarkError } from '#base/errors.ts';
import type { AttestedCall, Attestor, ProvenCaller } from '#ca/authenticator.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** Somebody who may be revoked: by the certificate that was shown (its serial), or altogether. */
export interface RevocablePeer {
  readonly identity: SpiffeId;
  /** Lower case hex; undefined when something else than a certificate was shown. */
  readonly serial: string | undefined;
}

/** Takes the proofs that another attestor takes, but for those of revoked callers. */
export class NotRevoked implements Attestor {
  readonly #attestor: Attestor;
  readonly #isRevoked: (peer: RevocablePeer) => boolean;

  constructor(attestor: Attestor, isRevoked: (peer: RevocablePeer) => boolean) {
    this.#attestor = attestor;
    this.#isRevoked = isRevoked;
  }

  async attest(call: AttestedCall): Promise<ProvenCaller | undefined> {
    const caller = await this.#attestor.attest(call);
    if (!caller) return undefined;
    const { identity, method, proof } = caller;
    const serial = method === 'certificate' ? proof : undefined;
    if (this.#isRevoked({ identity, serial })) {
      const data = { identity, method, proof };
      throw new BulwarkError('CA_UNAUTHENTICATED', 'the caller is revoked', { data });
    }
    return caller;
  }
}
