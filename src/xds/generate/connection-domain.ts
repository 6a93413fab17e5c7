import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { parseWorkloadId, type SpiffeId, type TrustDomain } from '#spiffe/spiffe-id.ts';

/**
 * The trust domain of the identity that a proxy opens connections with, when the mesh has several
 * names: connections that stand for another one have to be opened anew. Undefined while there is
 * one name only.
 */
export function connectionDomain(
  identity: SpiffeId,
  settings: MeshSettings,
): TrustDomain | undefined {
  if (meshTrustDomains(settings).length === 1) return undefined;
  return parseWorkloadId(identity)?.trustDomain;
}
