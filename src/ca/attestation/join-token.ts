import {
  cidrHolds,
  type JoinToken,
  joinSecretFits,
  joinTokenName,
  parseJoinToken,
  readJoinToken,
  usedJoinTokenObject,
} from '#api/join-token.ts';
import { type Secret, secret } from '#api/kinds/secret.ts';
import { serviceAccount } from '#api/kinds/service-account.ts';
import { bearerTokenOf } from '#base/bearer-token.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { AttestedCall, Attestor, ProvenCaller } from '#ca/authenticator.ts';
import { type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import type { Store } from '#store/store.ts';

export interface JoinTokenAttestorOptions {
  readonly trustDomain: TrustDomain;
}

export interface JoinTokenAttestorDeps {
  readonly store: Store;
  readonly clock: Clock;
}

/**
 * Knows machines by a join token, which is good once. The token is used up by a write to its object
 * that holds only for the version that was read (compare-and-swap), and that is on the disk before
 * anything is signed: of two that come at once one gets a certificate, and after a crash in between
 * none does.
 */
export class JoinTokenAttestor implements Attestor {
  readonly #options: JoinTokenAttestorOptions;
  readonly #deps: JoinTokenAttestorDeps;

  constructor(options: JoinTokenAttestorOptions, deps: JoinTokenAttestorDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async attest({ metadata, peer }: AttestedCall): Promise<ProvenCaller | undefined> {
    const presented = parseJoinToken(bearerTokenOf(metadata.authorization) ?? '');
    if (!presented) return undefined;
    const { namespace, id } = presented;
    const { store, clock } = this.#deps;
    const object = (await store.get({ kind: secret.id, namespace, name: joinTokenName(id) })) as
      | Secret
      | undefined;
    const token = object && readJoinToken(object);
    if (!object || !token || !joinSecretFits(token, presented.secret))
      throw refused(id, 'is not known');
    const address = hostOf(peer.address);
    const input = { token, address, now: clock.now() };
    const problem = PROBLEMS.find(({ holds }) => holds(input));
    if (problem) throw refused(id, problem.why);
    await this.#checkAccount(token);
    const { trustDomain } = this.#options;
    return {
      identity: workloadSpiffeId({ trustDomain, namespace, serviceAccount: token.serviceAccount }),
      method: 'join-token',
      proof: id,
      claim: () => this.#claim(object, { id, address }),
    };
  }

  async #checkAccount({ id, namespace, serviceAccount: name, accountUid }: JoinToken) {
    const account = await this.#deps.store.get({ kind: serviceAccount.id, namespace, name });
    if (account?.metadata.uid !== accountUid)
      throw refused(id, 'is for a service account that is gone');
  }

  async #claim(
    object: Secret,
    { id, address }: { readonly id: string; readonly address: string },
  ): Promise<void> {
    const { store, clock } = this.#deps;
    try {
      await store.update(usedJoinTokenObject(object, { at: clock.now(), from: address }));
    } catch (cause) {
      const isLate =
        isBulwarkError(cause, 'API_CONFLICT') || isBulwarkError(cause, 'API_NOT_FOUND');
      if (!isLate) throw cause;
      throw refused(id, 'was used or revoked at the same moment', cause);
    }
  }
}

interface Presented {
  readonly token: JoinToken;
  readonly address: string;
  readonly now: number;
}

/** Why a token is not good any more; the first that holds is told, to the log only. */
const PROBLEMS: readonly { readonly why: string; holds(input: Presented): boolean }[] = [
  { why: 'was used before', holds: ({ token }) => token.usedAt !== undefined },
  { why: 'has expired', holds: ({ token, now }) => now >= token.expiresAt },
  {
    why: 'is not for this address',
    holds: ({ token: { cidr }, address }) => cidr !== undefined && !cidrHolds(cidr, address),
  },
];

/** `127.0.0.1:40312` and `[::1]:40312` without the port. */
function hostOf(peerAddress: string): string {
  return /^\[?(.*?)\]?(:\d+)?$/.exec(peerAddress)?.[1] ?? peerAddress;
}

function refused(id: string, why: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_UNAUTHENTICATED', `the join token ${id} ${why}`, { cause });
}
