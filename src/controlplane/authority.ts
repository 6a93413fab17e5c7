import type { Clock } from '#base/clock.ts';
import { writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { Issuer } from '#ca/issuer.ts';
import { type CaMetrics, declareCaMetrics, declareExpiryMetrics } from '#ca/metrics.ts';
import { RootSet } from '#ca/roots/root-set.ts';
import type { DataPaths } from '#controlplane/data-folder.ts';
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
  readonly roots: RootSet;
  /** PEM, the root that signs first: what everybody in the mesh verifies against now. */
  readonly rootPem: string;
}

/** Readable by everybody who gets into the data folder: it is no secret. */
const READABLE = 0o644;

/**
 * Opens the authority in the data folder, making its root at the first start, and puts the root
 * certificate where agents are told to look.
 * @throws BulwarkError as `RootSet.open` does
 */
export async function openAuthority(
  settings: Settings,
  options: { readonly paths: DataPaths; readonly trustDomain: TrustDomain },
  deps: AuthorityDeps,
): Promise<Authority> {
  const { paths, trustDomain } = options;
  const aliases = settings.trustDomainAliases.map(parseTrustDomain);
  const rootOptions = { directory: paths.ca, trustDomain, aliases, ttlMs: settings.rootCertTtl };
  const roots = await RootSet.open(rootOptions, { ...deps, log: deps.log });
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
    get rootPem() {
      return roots.bundlePem;
    },
  };
}
