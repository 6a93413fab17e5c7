import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { ProvenCaller } from '#ca/authenticator.ts';
import {
  parseSpiffeId,
  parseWorkloadId,
  type SpiffeId,
  type TrustDomain,
  type WorkloadIdentity,
} from '#spiffe/spiffe-id.ts';

export interface ImpersonationOptions {
  readonly trustDomain: TrustDomain;
  /** Node agents that may ask for the workloads of their node; nobody when empty. */
  readonly nodeAgents: ReadonlySet<SpiffeId>;
}

export interface ImpersonationDeps {
  /** Whether the API server knows a workload of this account on that node. */
  readonly runsOn: (workload: WorkloadIdentity, node: string) => Promise<boolean>;
  /** Whether an identity was taken back. */
  readonly isRevoked: (identity: SpiffeId) => boolean;
}

/**
 * Lets the agent of a node have certificates for the workloads of that node and no others (Istio:
 * CA_TRUSTED_NODE_ACCOUNTS and `ImpersonatedIdentity`). On which node an agent is, its token says,
 * which is bound to a pod or a node; what runs there, the API server. So who takes over a node gets
 * what runs on it, which it could have anyway, and nothing of another node.
 */
export class Impersonation {
  readonly #options: ImpersonationOptions;
  readonly #deps: ImpersonationDeps;

  constructor(options: ImpersonationOptions, deps: ImpersonationDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * Who gets the certificate.
   * @param asked the SPIFFE id that the caller asks for, as it came
   * @throws BulwarkError CA_IMPERSONATION_REFUSED with the reason, for the log only
   */
  async identityFor({ identity, node }: ProvenCaller, asked: string): Promise<SpiffeId> {
    const { nodeAgents, trustDomain } = this.#options;
    const refuse = (why: string, remedy?: string) => refused({ identity, asked, why, remedy });
    if (!nodeAgents.has(identity)) {
      const remedy = 'a node agent is to be named in the setting trustedNodeAccounts';
      throw refuse('it is no trusted node agent', remedy);
    }
    const wanted = readId(asked);
    const workload = wanted && parseWorkloadId(wanted);
    if (!wanted || !workload) throw refuse('that is no identity of a workload');
    if (workload.trustDomain !== trustDomain) throw refuse('that is of another trust domain');
    if (node === undefined) {
      const remedy = 'give it a token that is bound to its pod or node';
      throw refuse('its proof does not say on which node it is', remedy);
    }
    if (this.#deps.isRevoked(wanted)) throw refuse('that identity is revoked');
    if (!(await this.#deps.runsOn(workload, node)))
      throw refuse(`no workload of that account is on its node ${JSON.stringify(node)}`);
    return wanted;
  }
}

function readId(text: string): SpiffeId | undefined {
  try {
    return parseSpiffeId(text);
  } catch (error) {
    if (isBulwarkError(error, 'SPIFFE_INVALID')) return undefined;
    throw error;
  }
}

interface Refusal {
  readonly identity: SpiffeId;
  readonly asked: string;
  readonly why: string;
  readonly remedy: string | undefined;
}

const SHOWN_MAX = 256;

function refused({ identity, asked, why, remedy }: Refusal): BulwarkError {
  const shown = JSON.stringify(asked.slice(0, SHOWN_MAX));
  const message = `${identity} asks for a certificate of ${shown}, but ${why}`;
  return new BulwarkError('CA_IMPERSONATION_REFUSED', message, remedy ? { remedy } : {});
}
