import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import { mtlsOfPeer } from '#api/kinds/authentication-policy-rules.ts';
import type { InboundMode } from '#policy/authn/mtls-mode.ts';

/**
 * What `peers` of a Policy or MeshPolicy mean for the connections of a port (Istio 1.5,
 * "Authentication Policy"). No peers: callers need not prove who they are, so plaintext. Of several
 * the first mtls counts; a jwt never passes. With `peerIsOptional` callers for which no peer passes
 * are taken too, so mtls is PERMISSIVE.
 */
export function modeOfPeers({ spec }: AuthenticationPolicy): InboundMode {
  const { peers = [], peerIsOptional = false } = spec ?? {};
  const mtls = peers.map(mtlsOfPeer).find((peer) => peer !== undefined);
  if (mtls === undefined) return peers.length === 0 || peerIsOptional ? 'DISABLE' : 'REFUSE';
  return mtls.allowTls || mtls.mode === 'PERMISSIVE' || peerIsOptional ? 'PERMISSIVE' : 'STRICT';
}
