import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Settings } from '#base/settings-table.ts';
import { CrlPublisher } from '#ca/crl-publisher.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import type { Authority } from '#controlplane/authority.ts';
import type { RevocationCheck } from '#controlplane/revocation.ts';
import type { RevokedCertificate } from '#pki/build-crl.ts';

export interface RevocationListDeps {
  readonly authority: Authority;
  readonly journal: IssuanceJournal;
  readonly revocation: RevocationCheck;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const DAY_MS = 24 * 3_600_000;
/** What the control plane signs for itself lives as long as this. */
const SERVING_MS = 90 * DAY_MS;

/** The longest life of any certificate, in milliseconds. */
export function certificateLifeMsMax({ workloadCertTtlMax }: Settings): number {
  return Math.max(workloadCertTtlMax, SERVING_MS);
}

/** The revocation list of the mesh, with all that the mesh and the journal know. */
export function revocationList(settings: Settings, deps: RevocationListDeps): CrlPublisher {
  return new CrlPublisher(
    { validityMs: certificateLifeMsMax(settings) + DAY_MS },
    {
      ...deps,
      roots: deps.authority.roots,
      revocations: () => deps.revocation.revocations.all.length,
      revoked: () => revokedCertificates(deps),
    },
  );
}

/** Serials as they were revoked, and those of revoked identities that are valid still. */
function revokedCertificates({
  revocation,
  journal,
}: RevocationListDeps): readonly RevokedCertificate[] {
  const bySerial = new Map<string, RevokedCertificate>();
  for (const { serial, identity, reason, revokedAt } of revocation.revocations.all) {
    const serials =
      serial === undefined
        ? revocation.namesOf(identity ?? '').flatMap((name) => journal.list({ identity: name }))
        : [{ serial }];
    for (const one of serials)
      if (!bySerial.has(one.serial)) bySerial.set(one.serial, { ...one, reason, revokedAt });
  }
  return [...bySerial.values()];
}
