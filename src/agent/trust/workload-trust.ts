import type { ConnectionReport } from '#agent/connections/connection-watch.ts';
import type { PushOutcome, SdsServer } from '#agent/sds/sds-server.ts';
import {
  FEDERATED_SECRET_NAME,
  ROOT_SECRET_NAME,
  WORKLOAD_SECRET_NAME,
} from '#agent/sds/secret-names.ts';
import type { RenewalReason } from '#agent/secrets/renewal.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { type KnownBundles, parseKnownBundles } from '#agent/trust/known-bundles.ts';
import { examineBundle, type TrustBundle } from '#agent/trust/trust-bundle.ts';
import { TrustClient, type TrustClientDeps } from '#agent/trust/trust-client.ts';
import type { TrustNode } from '#agent/trust/trust-messages.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { ServerRoots } from '#caclient/server-roots.ts';

export interface WorkloadTrustOptions {
  readonly node: TrustNode;
  /** To have the certificate renewed after so many milliseconds. */
  readonly renewSoon: (reason: RenewalReason, delayMs: number) => void;
  /** Who connects to the workload, as far as that is known. */
  readonly connections: () => ConnectionReport | undefined;
}

export interface WorkloadTrustDeps extends TrustClientDeps {
  /** What the control plane is verified against. */
  readonly roots: ServerRoots;
  readonly sds: Pick<SdsServer, 'publish' | 'verdictOn' | 'wants'>;
}

/**
 * When the root that signs is another, all workloads want new certificates; each takes a moment of
 * its own within so many milliseconds.
 */
const RENEWAL_SPREAD_MS = 5000;

/**
 * Hands key, certificate and roots of one workload to its Envoy. The roots come with each
 * certificate, and at any time from the control plane, which then learns whether this Envoy took
 * them.
 */
export class WorkloadTrust {
  readonly #options: WorkloadTrustOptions;
  readonly #deps: WorkloadTrustDeps;
  readonly #client: TrustClient;
  #secret: WorkloadSecret | undefined;
  /** The last bundle that Envoy took, or is to take. */
  #bundle: TrustBundle | undefined;
  #domains: KnownBundles | undefined;
  /** The bundle that is not answered yet, and what to go back to. */
  #pending:
    | { readonly answer: (refusal?: string) => void; readonly before: TrustBundle | undefined }
    | undefined;

  constructor(options: WorkloadTrustOptions, deps: WorkloadTrustDeps) {
    this.#options = options;
    this.#deps = deps;
    const { node, connections } = options;
    this.#client = new TrustClient(
      {
        node,
        onBundle: (bundle, answer) => this.#offered(bundle, answer),
        onDomains: (text) => this.#domainsOffered(text),
        connections,
      },
      deps,
    );
  }

  /** Hands on a new certificate that passed its checks. */
  renewed(secret: WorkloadSecret): void {
    this.#secret = secret;
    const at = this.#deps.clock.now();
    // What came with the certificate is the fresher word when the bundle does not vouch for it.
    if (this.#bundle && !isFit(this.#bundle, { chainPem: secret.chainPem, at }))
      this.#bundle = undefined;
    if (this.#bundle) this.#examine(this.#bundle, secret);
    this.#publish();
    this.answered();
  }

  /** Envoy answered something, or a stream of it ended. */
  answered(): void {
    const { sds } = this.#deps;
    const roots = this.#verdictOnRoots();
    if (this.#pending && roots) {
      const { answer, before } = this.#pending;
      this.#pending = undefined;
      if (roots.state === 'accepted') answer();
      else {
        this.#bundle = before;
        this.#publish();
        answer(`Envoy did not take it: ${roots.reason ?? 'no reason given'}`);
      }
    }
    const isServed = sds.verdictOn(WORKLOAD_SECRET_NAME)?.state === 'accepted';
    if (this.#secret && isServed) this.#client.open(this.#secret);
  }

  /** Tells the control plane who connects by now. */
  connectionsChanged(): void {
    this.#client.reportConnections();
  }

  /** Says farewell to the control plane. */
  close(): Promise<void> {
    this.#secret = undefined;
    this.#pending = undefined;
    return this.#client.close();
  }

  /** Of a federated mesh, Envoy verifies callers by another secret that holds our roots too. */
  #verdictOnRoots(): PushOutcome | undefined {
    const { sds } = this.#deps;
    const verdict = sds.verdictOn(ROOT_SECRET_NAME);
    if (verdict?.state !== 'accepted' || !sds.wants(FEDERATED_SECRET_NAME)) return verdict;
    return sds.verdictOn(FEDERATED_SECRET_NAME);
  }

  #domainsOffered(text: string): string | undefined {
    try {
      this.#domains = parseKnownBundles(text, this.#domains);
    } catch (error) {
      if (!isBulwarkError(error)) throw error;
      this.#deps.log.error('the trust bundles from the control plane are not used', { error });
      return error.message;
    }
    this.#publish();
    return undefined;
  }

  #offered(bundle: TrustBundle, answer: (refusal?: string) => void): void {
    const secret = this.#secret;
    if (!secret) return;
    let isTrusted: boolean;
    try {
      ({ isTrusted } = this.#examine(bundle, secret));
    } catch (error) {
      if (!isBulwarkError(error)) throw error;
      this.#deps.log.error('the roots from the control plane are not used', { error });
      answer(error.message);
      return;
    }
    if (!isTrusted) {
      answer('it does not vouch for the certificate of this workload');
      return;
    }
    this.#pending = { answer, before: this.#bundle };
    this.#bundle = bundle;
    this.#deps.roots.learn(bundle.rootsPem);
    this.#publish();
    this.answered();
  }

  /** Compares a bundle with a certificate, and has that renewed if it should be. */
  #examine(bundle: TrustBundle, secret: WorkloadSecret) {
    const { clock, random } = this.#deps;
    const standing = examineBundle(bundle, { chainPem: secret.chainPem, at: clock.now() });
    if (!standing.isTrusted) {
      const message = 'peers no longer trust the root above the certificate';
      this.#options.renewSoon({ reason: 'RootDistrusted', message }, 0);
    } else if (standing.isRevoked) {
      const message = 'the certificate is revoked';
      // The next one may be from the same authority, until the server has another.
      const delayMs = standing.isAuthorityRevoked ? random.fraction() * RENEWAL_SPREAD_MS : 0;
      this.#options.renewSoon({ reason: 'Revoked', message }, delayMs);
    } else if (!standing.isCurrent) {
      const message = 'another root signs now';
      const delayMs = random.fraction() * RENEWAL_SPREAD_MS;
      this.#options.renewSoon({ reason: 'RootReplaced', message }, delayMs);
    }
    return standing;
  }

  #publish(): void {
    const secret = this.#secret;
    if (secret) this.#deps.sds.publish({ ...secret, ...this.#bundle, bundles: this.#domains });
  }
}

/** Whether a bundle vouches for a certificate, and its lists do not end what it vouches for. */
function isFit(...[bundle, own]: Parameters<typeof examineBundle>): boolean {
  try {
    return examineBundle(bundle, own).isTrusted;
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}
