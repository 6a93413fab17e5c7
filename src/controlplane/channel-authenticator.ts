import type { Clock } from '#base/clock.ts';
import type { GrpcCall } from '#base/grpc/grpc.ts';
import type { Authority } from '#controlplane/authority.ts';
import { type XdsAuthenticatorDeps, xdsAuthenticator } from '#controlplane/xds-authenticator.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { verifyOnChannel } from '#pki/channel-proof.ts';

export interface ChannelAuthenticatorDeps extends XdsAuthenticatorDeps {
  readonly clock: Clock;
  /** By whose roots workloads are verified. */
  readonly authority: Pick<Authority, 'rootPem'>;
}

/** agent/trust/trust-connections.ts writes it. */
const PROOF_FIELD = 'bulwark-workload-proof';

/**
 * As `xdsAuthenticator`, also for calls of many workloads on one connection: each then begins with
 * a proof, good on this connection only, that the caller has the key of a certificate.
 * @throws GrpcStatusError UNAUTHENTICATED also when there is a proof that does not hold
 */
export function channelAuthenticator(deps: ChannelAuthenticatorDeps) {
  const { clock, authority } = deps;
  let known: { readonly pem: string; readonly roots: readonly Certificate[] } | undefined;
  const provenCertificate = ({ metadata, peer }: GrpcCall): Certificate | undefined => {
    const proof = metadata[PROOF_FIELD];
    if (proof === undefined) return undefined;
    const pem = authority.rootPem;
    if (known?.pem !== pem) known = { pem, roots: parseCertificatesPem(pem) };
    const { channelBinding: binding } = peer;
    if (!binding) throw new Error('a proof of a certificate needs a connection of TLS 1.3');
    return verifyOnChannel(String(proof), binding, { roots: known.roots, at: clock.now() });
  };
  return xdsAuthenticator({ ...deps, provenCertificate });
}
