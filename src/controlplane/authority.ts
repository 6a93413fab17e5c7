import type { Clock } from '#base/clock.ts';
import { writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { Issuer } from '#ca/issuer.ts';
import { type CaMetrics, declareCaMetrics, declareExpiryMetrics } from '#ca/metrics.ts';
import { loadOrCreateRoot } from '#ca/root-files.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { DataPaths } from '#controlplane/data-folder.ts';
import { encodePem } from '#pki/pem.ts';
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
  /** PEM: what everybody in the mesh verifies against. */
  readonly rootPem: string;
}

/** Readable by everybody who gets into the data folder: it is no secret. */
const READABLE = 0o644;

/**
 * Opens the authority in the data folder, making its root at the first start, and puts the root
 * certificate where agents are told to look.
 * @throws BulwarkError as `loadOrCreateRoot` does
 */
export async function openAuthority(
  settings: Settings,
  options: { readonly paths: DataPaths; readonly trustDomain: TrustDomain },
  deps: AuthorityDeps,
): Promise<Authority> {
  const { paths, trustDomain } = options;
  const aliases = settings.trustDomainAliases.map(parseTrustDomain);
  const rootOptions = { directory: paths.ca, trustDomain, aliases, ttlMs: settings.rootCertTtl };
  const root = await loadOrCreateRoot(rootOptions, { ...deps, log: deps.log });
  const signer = new SelfSignedSigner(root);
  const issuer = new Issuer(
    { ttlMs: settings.workloadCertTtl, ttlMsMax: settings.workloadCertTtlMax },
    { ...deps, signer: () => signer },
  );
  declareExpiryMetrics(deps.metrics, { signer: () => signer, clock: deps.clock });
  const rootPem = encodePem('CERTIFICATE', root.certificate.der);
  await writeFileAtomic(paths.rootCertificate, rootPem, READABLE);
  return { issuer, metrics: declareCaMetrics(deps.metrics), rootPem };
}
