import { BulwarkError } from '#base/errors.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { parseWorkloadId, type SpiffeId, type TrustDomain } from '#spiffe/spiffe-id.ts';
import type { TrustPeerIdentity } from '#xds/serve/trust-peers.ts';

export interface TrustDomainGuardOptions {
  /** Where the names that are in force are kept over restarts. */
  readonly path: string;
  readonly settings: Pick<MeshSettings, 'trustDomain' | 'trustDomainAliases'>;
  /** Whether to start all the same. */
  readonly isForced: boolean;
}

export interface TrustDomainGuardDeps {
  /** The workloads that are out there with a certificate that holds. */
  readonly peers: readonly TrustPeerIdentity[];
  readonly log: Logger;
}

/** The names of a mesh, as they are kept. */
type Names = Pick<MeshSettings, 'trustDomain' | 'trustDomainAliases'>;

const LISTED_MAX = 5;

/**
 * Refuses a start that would cut workloads off: under a trust domain that nobody was told to take,
 * or without a name that certificates of running workloads have. Then keeps the names for the next
 * start.
 * @throws BulwarkError TRUST_DOMAIN_IN_USE; FILES_UNREADABLE, FILES_TOO_OPEN, FILES_UNWRITABLE
 */
export async function guardTrustDomain(
  { path, settings, isForced }: TrustDomainGuardOptions,
  { peers, log }: TrustDomainGuardDeps,
): Promise<void> {
  const before = await readNames(path, log);
  const problem = findCutOff(settings, before, peers);
  if (problem && !isForced) throw problem;
  if (problem) log.warn('the trust domain is changed by force', { problem: problem.message });
  const { trustDomain, trustDomainAliases } = settings;
  const now = JSON.stringify({ trustDomain, trustDomainAliases });
  if (before && JSON.stringify(before) === now) return;
  await writeFileAtomic(path, now);
  if (before) log.info('the names of the trust domain have changed', { before, now: settings });
}

function findCutOff(
  settings: Names,
  before: Names | undefined,
  peers: readonly TrustPeerIdentity[],
): BulwarkError | undefined {
  const { trustDomain } = settings;
  const names = meshTrustDomains(settings);
  const lost = peers.filter(({ identity }) => !isOneOf(names, domainOf(identity)));
  if (lost.length > 0) {
    const domain = lost.map(({ identity }) => domainOf(identity))[0];
    return inUse(`${list(lost)} still have certificates of the trust domain ${domain}`, {
      remedy: `start with ${domain} among the aliases until \`bulwark trust-domain status\` misses nobody`,
    });
  }
  if (!before || peers.length === 0 || isOneOf(meshTrustDomains(before), trustDomain))
    return undefined;
  return inUse(`${list(peers)} were not told yet to take the trust domain ${trustDomain}`, {
    remedy: `start with ${before.trustDomain} and the alias ${trustDomain} first`,
  });
}

function isOneOf(names: readonly TrustDomain[], name: TrustDomain | undefined): boolean {
  return names.some((one) => one === name);
}

function domainOf(identity: SpiffeId): TrustDomain | undefined {
  return parseWorkloadId(identity)?.trustDomain;
}

function list(peers: readonly TrustPeerIdentity[]): string {
  const shown = peers.slice(0, LISTED_MAX).map((one) => `${one.workloadName}.${one.namespace}`);
  const more = peers.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function inUse(message: string, { remedy }: { readonly remedy: string }): BulwarkError {
  return new BulwarkError('TRUST_DOMAIN_IN_USE', message, {
    remedy: `${remedy} (docs/guide/trust-domain.md), or force it with --trust-domain-change forced`,
  });
}

async function readNames(path: string, log: Logger): Promise<Names | undefined> {
  if (!(await pathExists(path))) return undefined;
  try {
    const { trustDomain, trustDomainAliases } = JSON.parse(
      String(await readSecretFile(path)),
    ) as Names;
    return { trustDomain, trustDomainAliases: [...trustDomainAliases] };
  } catch (error) {
    if (error instanceof BulwarkError) throw error;
    log.error('the names that were in force are not known', { path, error });
    return undefined;
  }
}
