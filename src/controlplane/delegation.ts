import type { Settings } from '#base/settings-table.ts';
import { Impersonation } from '#ca/impersonation.ts';
import { Intermediates } from '#ca/intermediates.ts';
import { runsOnNode } from '#ca/node-workloads.ts';
import type { IssuanceParts } from '#controlplane/issuance.ts';
import { accountIdentities } from '#controlplane/trusted-accounts.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';

/**
 * Who may have more than a certificate of its own: servers below this one, and node agents.
 * @throws BulwarkError SETTINGS_INVALID for an account that is none
 */
export function openDelegation(
  settings: Settings,
  { mesh, authority, store, revocation, clock, log, random }: IssuanceParts,
): { readonly impersonation: Impersonation; readonly intermediates: Intermediates } {
  const { trustDomain } = mesh.settings;
  const identitiesOf = (setting: 'intermediateAuthorities' | 'trustedNodeAccounts') =>
    accountIdentities(setting, settings[setting], trustDomain);
  const { roots, sites, siteLists } = authority;
  const intermediates = new Intermediates(
    {
      identities: identitiesOf('intermediateAuthorities'),
      trustDomains: meshTrustDomains(mesh.settings),
      ttlMs: settings.intermediateCertTtl,
    },
    {
      signer: () => roots.signer,
      trustBundle: () => roots.bundlePem,
      sites,
      lists: siteLists,
      roots: () => roots.roots.map(({ certificate }) => certificate),
      clock,
      log,
      random,
    },
  );
  const impersonation = new Impersonation(
    { trustDomain, nodeAgents: identitiesOf('trustedNodeAccounts') },
    {
      runsOn: (workload, node) => runsOnNode(store, workload, node),
      isRevoked: (identity) => revocation.covers({ identity }),
    },
  );
  return { impersonation, intermediates };
}
