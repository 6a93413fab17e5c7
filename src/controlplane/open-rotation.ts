import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Audit } from '#controlplane/audit.ts';
import type { Authority } from '#controlplane/authority.ts';
import type { Federation } from '#controlplane/federation.ts';
import { RootRotation } from '#controlplane/root-rotation.ts';
import { siteReport } from '#controlplane/site-proof.ts';
import type { TrustMemory } from '#controlplane/trust-memory.ts';
import type { UnheardAgents } from '#controlplane/unheard-agents.ts';
import type { XdsFront } from '#controlplane/xds-front.ts';

/** The way from one root to the next, with all who can prove that they follow it. */
export function openRotation(
  { roots, sites }: Pick<Authority, 'roots' | 'sites'>,
  deps: {
    readonly xds: Pick<XdsFront, 'trust' | 'proxies' | 'trustEvidence'>;
    readonly memory: Pick<TrustMemory, 'flush'>;
    readonly unheard: UnheardAgents;
    readonly audit: Pick<Audit, 'changed'>;
    readonly federation: Pick<Federation, 'bundleIsKnownAt'>;
    readonly clock: Clock;
    readonly log: Logger;
  },
): RootRotation {
  const { xds, federation, memory } = deps;
  roots.reportWith?.((standing) => {
    const evidence = xds.trustEvidence();
    return siteReport({ ...evidence, unheard: deps.unheard.among(evidence), ...standing });
  });
  return new RootRotation({
    ...deps,
    roots,
    peers: xds.trust.peers,
    version: () => xds.trust.version,
    onChange: (change) => deps.audit.changed(change),
    remember: () => memory.flush(),
    sites: () => sites.all(),
    proxies: () => xds.proxies(),
    bundleIsKnownAt: () => federation.bundleIsKnownAt,
  });
}
