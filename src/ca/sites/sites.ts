import type { Clock } from '#base/clock.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { SiteReport } from '#ca/sites/site-report.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A server below this one. */
export interface Site {
  readonly identity: SpiffeId;
  /** When the last authority that it was given is over, wall-clock milliseconds. */
  readonly notAfterAt: number;
  /** What it said last; undefined when it said nothing since this server started. */
  readonly report: SiteReport | undefined;
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

/**
 * The servers below this one, for as long as an authority of theirs is good, over a restart too:
 * whoever was given one must not be forgotten when a root goes.
 */
export class Sites {
  readonly #options: SitesOptions;
  readonly #deps: SitesDeps;
  readonly #sites = new Map<SpiffeId, Site>();
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
      const known = JSON.parse(text) as readonly Pick<Site, 'identity' | 'notAfterAt'>[];
      for (const { identity, notAfterAt } of known)
        sites.#sites.set(identity, { identity, notAfterAt, report: undefined });
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
   * An authority was made for a site. It may leave once this is on the disk.
   * @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL
   */
  async certified(identity: SpiffeId, notAfterAt: number): Promise<void> {
    this.#sites.set(identity, { ...this.#known(identity), notAfterAt });
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
    const known = [...this.#sites.values()].map(({ identity, notAfterAt }) => ({
      identity,
      notAfterAt,
    }));
    const write = () => writeFileAtomic(this.#options.path, JSON.stringify(known));
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => {});
    return written;
  }
}
