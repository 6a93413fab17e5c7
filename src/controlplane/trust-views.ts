import { ADMIN_PATHS, type RevocationListsView } from '#admin/contract.ts';
import type { CrlPublisher } from '#ca/crl-publisher.ts';
import { type DomainEvidence, trustDomainView } from '#controlplane/trust-domain-view.ts';
import type { UnheardAgents } from '#controlplane/unheard-agents.ts';
import type { Store } from '#store/store.ts';

/** What there is to tell of. */
interface TrustViewParts {
  readonly xds: {
    readonly crl: Pick<CrlPublisher, 'content' | 'heldBackBy'>;
    domainEvidence(): Omit<DomainEvidence, 'unheard'>;
  };
  readonly unheard: Pick<UnheardAgents, 'among'>;
  readonly store: Pick<Store, 'list'>;
}

/** What the control plane tells of names and revocation lists, by path. */
export function trustViews({ xds, unheard, store }: TrustViewParts) {
  return {
    [ADMIN_PATHS.trustDomain]: () => {
      const evidence = xds.domainEvidence();
      return trustDomainView({ ...evidence, unheard: unheard.among(evidence) }, store);
    },
    [ADMIN_PATHS.revocationLists]: (): RevocationListsView => {
      const { content, heldBackBy } = xds.crl;
      return { areOut: content.crlPem !== '', missing: heldBackBy };
    },
  };
}
