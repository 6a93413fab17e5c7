import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Settings } from '#base/settings-table.ts';
import { CrlPublisher } from '#ca/crl-publisher.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import type { Authority } from '#controlplane/authority.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import type { RevocationCheck } from '#controlplane/revocation.ts';
import type { RevokedCertificate } from '#pki/build-crl.ts';
import type { TrustServer } from '#xds/serve/trust-server.ts';

export interface RevocationListDeps {
  readonly authority: Pick<Authority, 'roots' | 'listFiles' | 'others'>;
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

/** The revocation lists of the mesh, with all that the mesh and the journal know. */
export function revocationList(settings: Settings, deps: RevocationListDeps): CrlPublisher {
  const { revocationLists: lists } = settings;
  return new CrlPublisher(
    {
      validityMs: certificateLifeMsMax(settings) + DAY_MS,
      isOn: lists !== 'off',
      isForced: lists === 'on',
    },
    {
      ...deps,
      roots: deps.authority.roots,
      files: deps.authority.listFiles,
      others: deps.authority.others,
      onLists: (own) =>
        deps.authority.others.publishOwn({ ...own, revoked: deps.revocation.revocations.all }),
      revocations: () => deps.revocation.revocations.all.length,
      revoked: () => revokedCertificates(deps),
    },
  );
}

/**
 * What other servers revoke is refused here, too, from now on.
 * @param changed to be called whenever that is something else
 */
export function followOthers(
  {
    authority: { others },
    mesh,
    crl,
  }: {
    readonly authority: Pick<Authority, 'others'>;
    readonly mesh: Mesh;
    readonly crl: CrlPublisher;
  },
  changed: () => void,
): void {
  const take = (): void => mesh.model.useOtherRevocations(others.news().revoked);
  take();
  others.onNews(() => {
    take();
    changed();
    void crl.update();
  });
}

/**
 * Serials as they were revoked here, and our own of revoked identities that are valid still: the
 * ones that live longest first, for a list that cannot hold all.
 */
function revokedCertificates({
  revocation,
  journal,
}: RevocationListDeps): readonly RevokedCertificate[] {
  const bySerial = new Map<string, RevokedCertificate>();
  const { all } = revocation.revocations;
  for (const { serial, reason, revokedAt, from } of all)
    if (serial !== undefined && from === undefined)
      bySerial.set(serial, { serial, reason, revokedAt });
  const issued = all.flatMap(({ identity, reason, revokedAt }) =>
    (identity === undefined ? [] : revocation.namesOf(identity))
      .flatMap((name) => journal.list({ identity: name }))
      .map(({ serial, notAfterAt }) => ({ serial, notAfterAt, reason, revokedAt })),
  );
  for (const { serial, reason, revokedAt } of issued.sort((a, b) => b.notAfterAt - a.notAfterAt))
    if (!bySerial.has(serial)) bySerial.set(serial, { serial, reason, revokedAt });
  return [...bySerial.values()];
}

const ANNOUNCE_MS_MAX = 8000;

/**
 * Before a new authority signs, every workload that is there has its list: without it, it would
 * refuse the first certificate from there. Who does not answer in time is not waited for.
 */
export function announceArrivals(
  { lists, trust }: { readonly lists: CrlPublisher; readonly trust: TrustServer },
  { authority, clock, log }: Pick<RevocationListDeps, 'authority' | 'clock' | 'log'>,
): void {
  const areTaken = async (): Promise<boolean> =>
    lists.content.crlPem === '' || (await haveAllTaken(trust, clock));
  authority.roots.onArrival?.(async (signer) => {
    await lists.announce(signer);
    const [isTaken] = await Promise.all([areTaken(), authority.others.announce?.()]);
    if (isTaken) return;
    log.warn('not every workload has the lists of the new authority', { waitMs: ANNOUNCE_MS_MAX });
  });
  authority.others.whenTaken?.(async () => {
    await lists.update();
    await areTaken();
  });
}

/** Whether every workload that is connected took what is to be trusted now, or does within time. */
function haveAllTaken({ peers, version }: TrustServer, clock: Clock): Promise<boolean> {
  const haveTaken = (): boolean =>
    peers.all().every(({ isConnected, accepted }) => !isConnected || accepted === version);
  if (haveTaken()) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (isTaken: boolean): void => {
      timer.cancel();
      unsubscribe();
      resolve(isTaken);
    };
    const timer = clock.after(ANNOUNCE_MS_MAX, () => end(false));
    const unsubscribe = peers.onChange(() => {
      if (haveTaken()) end(true);
    });
  });
}
