import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import {
  CLIENT_CERT_HEADER,
  type ForwardedCertificate,
  parseClientCertHeader,
} from '#ca/attestation/forwarded/client-cert-header.ts';
import type { Forwarders } from '#ca/attestation/forwarded/forwarders.ts';
import type { AttestedCall, Attestor, ProvenCaller } from '#ca/authenticator.ts';
import {
  parseSpiffeId,
  parseWorkloadId,
  type TrustDomain,
  type WorkloadIdentity,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';

export interface ForwardedCertificateOptions {
  /** Of the certificates that are issued. */
  readonly trustDomain: TrustDomain;
  /** Those that a certificate may be of: `trustDomain` and its aliases. */
  readonly trustDomains: readonly TrustDomain[];
  readonly forwarders: Forwarders;
}

export interface ForwardedCertificateDeps {
  /** Whether there (still) is such a service account. */
  readonly accountExists: (workload: WorkloadIdentity) => Promise<boolean>;
}

/**
 * Knows callers by what a trusted proxy before the authority says of the certificate with which
 * they opened mutual TLS to it (Istio: XfccAuthenticator). The header of anybody else is not looked
 * at. A proxy that passes on what its callers say of others would let them be anybody, so a header
 * with more than one element, or more than one identity, is refused.
 */
export class ForwardedCertificateAttestor implements Attestor {
  readonly #options: ForwardedCertificateOptions;
  readonly #deps: ForwardedCertificateDeps;

  constructor(options: ForwardedCertificateOptions, deps: ForwardedCertificateDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async attest({ metadata, peer }: AttestedCall): Promise<ProvenCaller | undefined> {
    const { forwarders, trustDomain, trustDomains } = this.#options;
    const written = metadata[CLIENT_CERT_HEADER];
    if (written === undefined || written.length === 0) return undefined;
    if (!forwarders.trusts(peer.address)) return undefined;
    const refuse = (why: string) => refused(peer.address, why);
    const header = typeof written === 'string' ? written : written.join(', ');
    const { uri, hash } = onlyIdentity(header, refuse);
    const workload = workloadOf(uri, refuse);
    if (!trustDomains.includes(workload.trustDomain))
      throw refuse(`names the trust domain ${workload.trustDomain}`);
    if (!(await this.#deps.accountExists(workload)))
      throw refuse('names a service account that is gone');
    const identity = workloadSpiffeId({ ...workload, trustDomain });
    const which = /^[0-9a-fA-F]{64}$/.test(hash) ? `certificate ${hash}` : 'a certificate';
    const proof = `${which}, by the word of ${peer.address}`;
    return { identity, method: 'forwarded-certificate', proof };
  }
}

/** Makes the certificate of a connection prove nothing where a listed proxy speaks for others. */
export function exceptForwarders(attestor: Attestor, forwarders: Forwarders): Attestor {
  return {
    attest: async (call) =>
      forwarders.isListed(call.peer.address) ? undefined : attestor.attest(call),
  };
}

type Refuse = (why: string) => BulwarkError;

function onlyIdentity(
  header: string,
  refuse: Refuse,
): { readonly uri: string; readonly hash: string } {
  const elements = parseClientCertHeader(header);
  if (elements === undefined) throw refuse('does not read');
  const [element, ...more] = elements as readonly [ForwardedCertificate];
  if (more.length > 0)
    throw refuse(`has ${elements.length} elements: the proxy is to write it anew (SANITIZE_SET)`);
  const [uri, ...others] = element.uris;
  if (uri === undefined || others.length > 0)
    throw refuse(`names ${element.uris.length} identities: the proxy is to tell the URI of one`);
  return { uri, hash: element.hash };
}

function workloadOf(uri: string, refuse: Refuse): WorkloadIdentity {
  try {
    const workload = parseWorkloadId(parseSpiffeId(uri));
    if (workload) return workload;
  } catch (error) {
    if (!isBulwarkError(error, 'SPIFFE_INVALID')) throw error;
  }
  throw refuse('names what is no identity of a workload');
}

function refused(address: string, why: string): BulwarkError {
  return new BulwarkError('CA_UNAUTHENTICATED', `${CLIENT_CERT_HEADER} of ${address} ${why}`);
}
