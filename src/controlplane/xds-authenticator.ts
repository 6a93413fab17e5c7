import type { GrpcCall } from '#base/grpc/grpc.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { parseWorkloadId, type SpiffeId, type TrustDomain } from '#spiffe/spiffe-id.ts';

/** Who is at the other end of an xDS stream, proven. */
export interface XdsCaller {
  readonly identity: SpiffeId;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** What it proved itself with; undefined when that was a token. */
  readonly certificate: Certificate | undefined;
}

export interface XdsAuthenticatorDeps {
  /** The trust domain of the mesh, then its other names. */
  readonly trustDomains: readonly TrustDomain[];
  /**
   * The certificate that the caller proves for this one call, beside those of its connection; none
   * is taken when left out.
   * @throws when there is a proof that does not hold
   */
  readonly provenCertificate?: (call: GrpcCall) => Certificate | undefined;
  /** The identity that a bearer token proves. @throws when it proves none */
  readonly authenticateToken: (call: GrpcCall) => Promise<{ readonly identity: SpiffeId }>;
  /** Whether somebody is revoked: by the certificate that it showed, DER, or altogether. */
  readonly isRevoked: (certificate: Uint8Array | undefined, identity: SpiffeId) => boolean;
}

/**
 * An Envoy proves itself by its workload certificate; Istio's own agent by its service account
 * token; our agent, which asks for many workloads, by proofs of their certificates.
 * @throws GrpcStatusError UNAUTHENTICATED, with the reason as cause for the log
 */
export function xdsAuthenticator(deps: XdsAuthenticatorDeps) {
  return async (call: GrpcCall): Promise<XdsCaller> => {
    try {
      const certificate = deps.provenCertificate?.(call) ?? shownCertificate(call);
      const identity = certificate
        ? identityOfCertificate(certificate)
        : (await deps.authenticateToken(call)).identity;
      const workload = parseWorkloadId(identity);
      if (!workload) throw new Error(`${identity} is no workload identity`);
      if (!deps.trustDomains.includes(workload.trustDomain))
        throw new Error(`${identity} is of another trust domain than ${deps.trustDomains}`);
      if (deps.isRevoked(certificate?.der, identity)) throw new Error(`${identity} is revoked`);
      const { namespace, serviceAccount } = workload;
      return { identity, namespace, serviceAccount, certificate };
    } catch (cause) {
      throw new GrpcStatusError(GRPC_STATUS.unauthenticated, 'authentication failure', cause);
    }
  };
}

function shownCertificate({ peer }: GrpcCall): Certificate | undefined {
  return peer.verifiedCertificate && parseCertificate(peer.verifiedCertificate);
}
