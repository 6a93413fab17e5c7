import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { ensurePrivateDirectory, writeFileAtomic } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { Issuer } from '#ca/issuer.ts';
import { ListFiles } from '#ca/lists/list-files.ts';
import type { OtherAuthorities } from '#ca/lists/other-lists.ts';
import { type CaMetrics, declareCaMetrics, declareExpiryMetrics } from '#ca/metrics.ts';
import { PluggedInAuthority } from '#ca/plugged-in/plugged-in-authority.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import { RootSet } from '#ca/roots/root-set.ts';
import { SiteLists } from '#ca/sites/site-lists.ts';
import { Sites } from '#ca/sites/sites.ts';
import type { ListExchange } from '#ca/upstream/list-exchange.ts';
import type { DataPaths } from '#controlplane/data-folder.ts';
import { accountIdentities } from '#controlplane/trusted-accounts.ts';
import { openUpstream } from '#controlplane/upstream.ts';
import { parseTrustDomain, type TrustDomain } from '#spiffe/spiffe-id.ts';

export interface AuthorityDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The certificate authority of the mesh, ready to issue. */
export interface Authority {
  readonly issuer: Issuer;
  readonly metrics: CaMetrics;
  /** The roots of the mesh, and the way from one to the next. */
  readonly roots: MeshRoots;
  /** Servers below this one. */
  readonly sites: Sites;
  /** Their revocation lists. */
  readonly siteLists: SiteLists;
  /** The lists of all other servers below the same roots. */
  readonly others: OtherAuthorities;
  /** Where the last revocation list of each authority is kept. */
  readonly listFiles: ListFiles;
  /** What is to run with the server. */
  readonly components: readonly Component[];
  /** PEM, the root that signs first: what everybody in the mesh verifies against now. */
  readonly rootPem: string;
  /** Whether every certificate that it signs with holds now; else nobody gets one. */
  canSign(): boolean;
}

/** Readable by everybody who gets into the data folder: it is no secret. */
const READABLE = 0o644;

/**
 * Opens the authority that the settings plug in, or that a server above signs, or else that in the
 * data folder, making its root at the first start; and puts the root certificate where agents are
 * told to look.
 * @throws BulwarkError as `PluggedInAuthority.open`, `openUpstream` or `RootSet.open` does
 */
export async function openAuthority(
  settings: Settings,
  options: { readonly paths: DataPaths; readonly trustDomain: TrustDomain },
  deps: AuthorityDeps,
): Promise<Authority> {
  const { paths } = options;
  await ensurePrivateDirectory(paths.ca);
  const { roots, components, exchange } = await openRoots(settings, options, deps);
  const sites = await openSites(settings, options, deps);
  const directory = join(paths.ca, 'site-lists');
  const siteLists = await SiteLists.open({ directory }, { ...deps, sites });
  const issuer = new Issuer(
    { ttlMs: settings.workloadCertTtl, ttlMsMax: settings.workloadCertTtlMax },
    { ...deps, signer: () => roots.signer, trustBundle: () => roots.bundlePem },
  );
  declareExpiryMetrics(deps.metrics, { signer: () => roots.signer, clock: deps.clock });
  const publish = (): Promise<void> =>
    writeFileAtomic(paths.rootCertificate, roots.bundlePem, READABLE);
  roots.onChange(publish);
  await publish();
  return {
    issuer,
    metrics: declareCaMetrics(deps.metrics),
    roots,
    sites,
    siteLists,
    others: exchange ?? siteLists,
    listFiles: new ListFiles(join(paths.ca, 'lists'), deps),
    components,
    get rootPem() {
      return roots.bundlePem;
    },
    canSign: () => roots.signer.issuers.every(({ notAfterAt }) => deps.clock.now() < notAfterAt),
  };
}

function openSites(
  settings: Settings,
  { paths, trustDomain }: { readonly paths: DataPaths; readonly trustDomain: TrustDomain },
  deps: AuthorityDeps,
): Promise<Sites> {
  const setting = 'intermediateAuthorities';
  const identities = accountIdentities(setting, settings[setting], trustDomain);
  const path = join(paths.ca, 'sites.json');
  return Sites.open({ path, identities, ttlMs: settings.intermediateCertTtl }, deps);
}

async function openRoots(
  settings: Settings,
  options: { readonly paths: DataPaths; readonly trustDomain: TrustDomain },
  deps: AuthorityDeps,
): Promise<Pick<Authority, 'roots' | 'components'> & { readonly exchange?: ListExchange }> {
  const { paths, trustDomain } = options;
  if (settings.caCertificates !== undefined) {
    const directory = settings.caCertificates;
    const authority = await PluggedInAuthority.open({ directory, trustDomain }, deps);
    return { roots: authority, components: [authority] };
  }
  if (settings.upstreamCa !== undefined) {
    const below = { directory: paths.ca, trustDomain };
    const { authority, exchange } = await openUpstream(settings, below, deps);
    return { roots: authority, components: [authority, exchange], exchange };
  }
  const aliases = settings.trustDomainAliases.map(parseTrustDomain);
  const rootOptions = { directory: paths.ca, trustDomain, aliases, ttlMs: settings.rootCertTtl };
  return { roots: await RootSet.open(rootOptions, deps), components: [] };
}
