import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { GrpcCall } from '#base/grpc/grpc.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/**
 * The kinds of proof that a caller may bring; a closed set, for metrics and the journal. The
 * control plane itself needs none.
 */
export const ATTESTATION_METHODS = [
  'certificate',
  'control-plane',
  'forwarded-certificate',
  'join-token',
  'oidc-token',
  'service-account-token',
] as const;

/** One of them. */
export type AttestationMethod = (typeof ATTESTATION_METHODS)[number];

/** Somebody who proved who it is. */
export interface ProvenCaller {
  readonly identity: SpiffeId;
  readonly method: AttestationMethod;
  /** Which proof it was, for journal and log, never a secret: a serial, a token's id. */
  readonly proof: string;
  /** The node that it runs on, when its proof says so and the API server agrees. */
  readonly node?: string;
  /**
   * Uses the proof up, for proofs that are good once. To be awaited before anything is signed.
   * @throws BulwarkError CA_UNAUTHENTICATED when somebody else was first
   */
  readonly claim?: () => Promise<void>;
}

/** What there is to know about a caller. */
export type AttestedCall = Pick<GrpcCall, 'metadata' | 'peer'>;

/** Finds out who sends a call. */
export interface Authenticator {
  /**
   * @throws BulwarkError CA_UNAUTHENTICATED with the reason, for the log only; SPIFFE_INVALID when
   *   the caller is known but its names cannot form an identity
   */
  authenticate(call: AttestedCall): Promise<ProvenCaller>;
}

/** Reads one kind of proof. */
export interface Attestor {
  /**
   * @returns undefined when the call carries no proof of this kind
   * @throws BulwarkError CA_UNAUTHENTICATED, SPIFFE_INVALID when it carries one that does not hold
   */
  attest(call: AttestedCall): Promise<ProvenCaller | undefined>;
}

/**
 * Asks attestors in order; the first proof that holds decides who the caller is. A proof that does
 * not hold does no harm beside one that does: an agent may send an old token with a good
 * certificate.
 */
export class AttestorList implements Authenticator {
  readonly #attestors: readonly Attestor[];

  constructor(attestors: readonly Attestor[]) {
    this.#attestors = attestors;
  }

  async authenticate(call: AttestedCall): Promise<ProvenCaller> {
    let failure: BulwarkError | undefined;
    for (const attestor of this.#attestors) {
      try {
        const caller = await attestor.attest(call);
        if (caller) return caller;
      } catch (error) {
        const isForeseen =
          isBulwarkError(error, 'CA_UNAUTHENTICATED') || isBulwarkError(error, 'SPIFFE_INVALID');
        if (!isForeseen) throw error;
        failure ??= error;
      }
    }
    throw failure ?? new BulwarkError('CA_UNAUTHENTICATED', 'the call carries no proof');
  }
}
