import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import type { Revocation, Revocations } from '#model/revocations.ts';
import {
  parseSpiffeId,
  parseWorkloadId,
  type SpiffeId,
  type TrustDomain,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';

/** A peer that is refused whatever the policies say. */
export interface RevokedPeer {
  /** Of the denial, as logs show it: `bulwark-revoked[name of the object]`. */
  readonly name: string;
  /** Serials that its certificate must not have, as Envoy writes them: whole bytes, hex. */
  readonly serials: readonly string[];
  /** Identities that it must not have. */
  readonly identities: readonly SpiffeId[];
}

/** Every refusal of a revoked peer is named so. */
const REVOKED_PREFIX = 'bulwark-revoked';

/** Whom a revocation refuses: an identity under every name of the trust domain. */
export function revokedPeer(revocation: Revocation, settings: MeshSettings): RevokedPeer {
  const { name, serial, identity } = revocation;
  return {
    name: `${REVOKED_PREFIX}[${name}]`,
    serials: serial === undefined ? [] : [wholeBytes(serial)],
    identities: identity === undefined ? [] : namesOf(identity, meshTrustDomains(settings)),
  };
}

/** Whether a peer is refused, by its certificate (serial in lower case hex) or by who it is. */
export function isRevoked(
  { serial, identity }: { readonly serial?: string | undefined; readonly identity: SpiffeId },
  revocations: Revocations,
  settings: MeshSettings,
): boolean {
  if (revocations.all.length === 0) return false;
  if (serial !== undefined && revocations.covers({ serial })) return true;
  const names = namesOf(identity, meshTrustDomains(settings));
  return names.some((name) => revocations.covers({ identity: name }));
}

function wholeBytes(hex: string): string {
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

/** The identity as it is written; and the same account under other names of the mesh. */
export function namesOf(
  identity: string,
  trustDomains: readonly TrustDomain[],
): readonly SpiffeId[] {
  const id = parseSpiffeId(identity);
  const workload = parseWorkloadId(id);
  if (!workload || !trustDomains.some((domain) => domain === workload.trustDomain)) return [id];
  return trustDomains.map((domain) => workloadSpiffeId({ ...workload, trustDomain: domain }));
}
