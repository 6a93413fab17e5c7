import type { MissingTrustView } from '#admin/contract.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import type { RotationStep } from '#ca/roots/root-states.ts';
import { SITE_MISSING_NAMED, type SiteReport } from '#ca/sites/site-report.ts';
import type { Site } from '#ca/sites/sites.ts';
import { missingFor, type TrustEvidence } from '#controlplane/trust-proof.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { parseWorkloadId } from '#spiffe/spiffe-id.ts';

/** What there is to judge servers below from. */
export interface SiteEvidence {
  readonly sites: readonly Site[];
  readonly roots: MeshRoots['roots'];
  /** Key id of the root that is prepared or to go; undefined when there is none. */
  readonly otherKeyId: string | undefined;
}

/** The servers below that keep a step from being safe, as `missingFor` judges workloads. */
export function missingSites(
  step: RotationStep,
  { sites, roots, otherKeyId }: SiteEvidence,
): readonly MissingTrustView[] {
  if (step === 'prepare') return [];
  const wanted = roots.map(({ certificate }) => certificate.subjectKeyId ?? '');
  return sites.flatMap(({ identity, report }) => {
    const reason = reasonOf(step, { report, wanted, otherKeyId });
    return reason === undefined ? [] : [{ name: nameOf(identity), identity, reason }];
  });
}

interface Judged extends Pick<SiteEvidence, 'otherKeyId'> {
  readonly report: SiteReport | undefined;
  /** Key ids of the roots that everybody should trust. */
  readonly wanted: readonly string[];
}

function reasonOf(step: RotationStep, { report, wanted, otherKeyId }: Judged): string | undefined {
  if (!report) return 'the server below has not said yet what its workloads trust';
  const { standsOn, trusted, missing, missingCount } = report;
  const holds = standsOn.some((root) => root === '' || root === otherKeyId);
  if (step === 'abort')
    return holds ? 'certificates below it stand on the root that is to go' : undefined;
  if (!wanted.every((root) => trusted.includes(root)))
    return 'the server below has not taken the roots yet';
  if (missingCount > 0) {
    const some = missing.map(({ name, reason }) => `${name} (${reason})`).join(', ');
    return `${missingCount} workload(s) below it are not ready: ${some}`;
  }
  if (step !== 'revoke' || !holds) return undefined;
  return 'certificates below it still stand on the root that is to go';
}

function nameOf(identity: Site['identity']): string {
  const { namespace, serviceAccount } = parseWorkloadId(identity) ?? {};
  return `${serviceAccount}.${namespace}`;
}

/** What a server below says of itself. */
export interface OwnStanding extends Omit<TrustEvidence, 'otherKeyId'> {
  /** The roots as they were told to workloads last, PEM. */
  readonly rootsPem: string;
  /** Key id of the root above the authority with this key id; undefined when it is not known. */
  readonly rootAbove: (authorityKeyId: string) => string | undefined;
  /** Key id of the authority that signs now. */
  readonly signerKeyId: string;
}

/** The report of a server below another one. */
export function siteReport(own: OwnStanding): SiteReport {
  const { peers, unheard, rootsPem, rootAbove, signerKeyId } = own;
  const signers = [
    ...peers.map(({ certificate }) => certificate.authorityKeyId ?? ''),
    ...unheard.map(({ issuerKeyId }) => issuerKeyId),
  ];
  const standsOn = [signerKeyId, ...signers].map((signer) => rootAbove(signer) ?? '');
  const missing = missingFor('taint', { ...own, otherKeyId: undefined });
  return {
    trusted: parseCertificatesPem(rootsPem).map(({ subjectKeyId }) => subjectKeyId ?? ''),
    standsOn: [...new Set(standsOn)],
    missingCount: missing.length,
    missing: missing
      .slice(0, SITE_MISSING_NAMED)
      .map(({ name, reason }) => ({ name, reason: reason.slice(0, 200) })),
  };
}
