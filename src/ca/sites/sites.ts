import type { Clock } from '#base/clock.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import { readChain } from '#ca/lists/other-lists.ts';
import type { SiteReport } from '#ca/sites/site-report.ts';
import type { Certificate } from '#pki/certificate.ts';
import { encodePem } from '#pki/pem.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A server below this one. */
export interface Site {
  readonly identity: SpiffeId;
  /** When the last authority that it was given is over, wall-clock milliseconds. */
  readonly notAfterAt: number;
  /** What it said last; undefined when it said nothing since this server started. */
  readonly report: SiteReport | undefined;
}

/** An authority that a server below has, with those above it. */
export interface SiteAuthority {
  readonly identity: SpiffeId;
  /** Its certificate first, the root last. */
  readonly issuers: readonly [Certificate, ...Certificate[]];
}

export interface SitesOptions {
  /** Where it is kept who they are. */
  readonly path: string;
  /** Who may have an authority now; whoever may not any more is not waited for. */
  readonly identities: ReadonlySet<SpiffeId>;
  /** How long an authority lives, milliseconds. */
  readonly ttlMs: number;
}

export interface SitesDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

const CLOCKS_DIFFER_MS = 3_600_000;

/**
 * The servers below this one, for as long as an authority of theirs is good, over a restart too:
 * whoever was given one must not be forgotten when a root goes.
 */
export class Sites {
  readonly #options: SitesOptions;
  readonly #deps: SitesDeps;
  readonly #sites = new Map<SpiffeId, Site>();
  #authorities: readonly SiteAuthority[] = [];
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: SitesOptions, deps: SitesDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN */
  static async open(options: SitesOptions, deps: SitesDeps): Promise<Sites> {
    const sites = new Sites(options, deps);
    if (!(await pathExists(options.path))) return sites;
    const text = String(await readSecretFile(options.path));
    try {
      const known = JSON.parse(text) as readonly KeptSite[];
      for (const { identity, notAfterAt } of known)
        sites.#sites.set(identity, { identity, notAfterAt, report: undefined });
      sites.#authorities = known.flatMap(({ identity, authorities = [] }) =>
        authorities.flatMap((pem) => {
          const issuers = readChain(pem);
          return issuers ? [{ identity, issuers }] : [];
        }),
      );
    } catch (error) {
      deps.log.error('who has an authority below this one is not known', { error });
    }
    return sites;
  }

  /** Those whose authority is good still, and who may have another. */
  all(): readonly Site[] {
    const now = this.#deps.clock.now();
    for (const [identity, { notAfterAt }] of this.#sites)
      if (notAfterAt < now) this.#sites.delete(identity);
    const { identities } = this.#options;
    return [...this.#sites.values()].filter(({ identity }) => identities.has(identity));
  }

  /**
   * Every authority of a site that is good, also of those who may not have another, and for an hour
   * after: a site whose clock is behind speaks for it still.
   */
  authorities(): readonly SiteAuthority[] {
    const since = this.#deps.clock.now() - CLOCKS_DIFFER_MS;
    this.#authorities = this.#authorities.filter(({ issuers: [one] }) => one.notAfterAt > since);
    return this.#authorities;
  }

  /**
   * An authority was made for a site. It may leave once this is on the disk.
   * @param issuers its certificate first, the root last
   * @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL
   */
  async certified(identity: SpiffeId, issuers: SiteAuthority['issuers']): Promise<void> {
    const [{ notAfterAt }] = issuers;
    this.#sites.set(identity, { ...this.#known(identity), notAfterAt });
    this.#authorities = [...this.authorities(), { identity, issuers }];
    await this.#write();
  }

  /** A site asked for the roots and said how it stands with them. */
  heard(identity: SpiffeId, report: SiteReport | undefined): void {
    this.#sites.set(identity, { ...this.#known(identity), report });
  }

  #known(identity: SpiffeId): Site {
    // One whose authority is from before this was kept: it is good for no longer than that.
    const notAfterAt = this.#deps.clock.now() + this.#options.ttlMs;
    return this.#sites.get(identity) ?? { identity, notAfterAt, report: undefined };
  }

  #write(): Promise<void> {
    const known = [...this.#sites.values()].map(({ identity, notAfterAt }): KeptSite => {
      const own = this.authorities().filter((one) => one.identity === identity);
      const authorities = own.map(({ issuers }) => pemOf(issuers));
      return { identity, notAfterAt, authorities };
    });
    const write = () => writeFileAtomic(this.#options.path, JSON.stringify(known));
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => {});
    return written;
  }
}

/** A site as it is written down. */
interface KeptSite extends Pick<Site, 'identity' | 'notAfterAt'> {
  /** PEM chains of its authorities; left out by those who did not keep them. */
  readonly authorities?: readonly string[];
}

function pemOf(chain: readonly Certificate[]): string {
  return chain.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}
