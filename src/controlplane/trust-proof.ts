import type { MissingTrustView } from '#admin/contract.ts';
import type { RotationStep } from '#ca/roots/root-states.ts';
import type { UnheardAgent } from '#controlplane/unheard-agents.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import { type TrustPeer, workloadKey } from '#xds/serve/trust-peers.ts';

/** A proxy that takes configuration, whoever runs it. */
export interface KnownProxy {
  readonly nodeId: string;
  readonly identity: SpiffeId;
  readonly namespace: string;
  readonly workloadName: string;
}

/** What there is to judge from. */
export interface TrustEvidence {
  readonly peers: readonly TrustPeer[];
  readonly proxies: readonly KnownProxy[];
  /** Agents that have not come back since the start. */
  readonly unheard: readonly UnheardAgent[];
  /** The version of the bundle that all should have. */
  readonly version: string;
  /** Key id of the root that is prepared or to go; undefined when there is none. */
  readonly otherKeyId: string | undefined;
}

/**
 * Who keeps a step from being safe. Before the new root signs, before the old one's key goes, and
 * before the old one is trusted no more, everybody must have taken the present bundle; and nobody
 * may hold a certificate of a root that is to be trusted no more.
 */
export function missingFor(
  step: RotationStep,
  { peers, proxies, unheard, version, otherKeyId }: TrustEvidence,
): readonly MissingTrustView[] {
  if (step === 'prepare') return [];
  const holds = ({ certificate }: TrustPeer): boolean =>
    otherKeyId !== undefined && certificate.authorityKeyId === otherKeyId;
  const known = new Set(peers.map(workloadKey));
  const silent = proxies.filter((proxy) => !known.has(workloadKey(proxy)));
  const holding = peers.filter(holds).map((peer) => {
    return missing(peer, 'it still serves with a certificate of the root that is to go');
  });
  const mute = silent.map((one) => missing(one, 'its agent does not say what it trusts'));
  const gone = unheard.flatMap(({ name, identity, reason, issuerKeyId }) =>
    step === 'abort' && issuerKeyId !== otherKeyId ? [] : [{ name, identity, reason }],
  );
  if (step === 'abort') return [...holding, ...mute, ...gone];
  const distrusting = peers.flatMap((peer) => {
    if (step === 'revoke' && holds(peer)) return [];
    const reason = reasonOf(peer, version);
    return reason === undefined ? [] : [missing(peer, reason)];
  });
  return [...(step === 'revoke' ? holding : []), ...distrusting, ...mute, ...gone];
}

function reasonOf(peer: TrustPeer, version: string): string | undefined {
  if (peer.refusal !== undefined) return `it refused the roots: ${peer.refusal}`;
  if (!peer.isConnected) return 'it went away without a farewell, and its certificate still holds';
  return peer.accepted === version ? undefined : 'it has not taken the roots yet';
}

function missing(
  { workloadName, namespace, identity }: KnownProxy,
  reason: string,
): MissingTrustView {
  return { name: `${workloadName}.${namespace}`, identity, reason };
}
