import type { Clock } from '#base/clock.ts';
import { type Component, Lifecycle } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import { RecordedIssuer } from '#ca/journal/recorded-issuer.ts';
import { JoinTokenCleanup } from '#controllers/join-token-cleanup.ts';
import { RevocationExpiry } from '#controllers/revocation-expiry.ts';
import { RootConfigMaps } from '#controllers/root-config-maps.ts';
import { ServiceAccountSecrets } from '#controllers/service-account-secrets.ts';
import type { Authority } from '#controlplane/authority.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { RevocationCheck } from '#controlplane/revocation.ts';
import { certificateLifeMsMax } from '#controlplane/revocation-list.ts';
import type { SpiffeId, TrustDomain } from '#spiffe/spiffe-id.ts';
import type { Store } from '#store/store.ts';

export interface CaControllersOptions {
  readonly settings: Settings;
  readonly trustDomain: TrustDomain;
}

export interface CaControllersDeps {
  readonly mesh: Mesh;
  readonly authority: Authority;
  readonly journal: IssuanceJournal;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What the authority writes into the API: Secrets of service accounts, and its roots. */
export class CaControllers implements Component {
  readonly name = 'ca-controllers';
  readonly #secrets: ServiceAccountSecrets;
  readonly #roots: RootConfigMaps;
  readonly #joinTokens: JoinTokenCleanup;
  readonly #expiry: RevocationExpiry;
  readonly #lifecycle: Lifecycle;

  constructor({ settings, trustDomain }: CaControllersOptions, deps: CaControllersDeps) {
    const { authority, journal, clock } = deps;
    const { issuer: plain } = authority;
    const revocation = new RevocationCheck(deps.mesh);
    const isRevoked = (identity: SpiffeId): boolean => revocation.covers({ identity });
    const recorded = { issuer: plain, journal, clock, isRevoked };
    const issuer = new RecordedIssuer('account-secrets', recorded);
    const log = deps.log.child({ component: 'ca' });
    const trustBundle = (): string => authority.rootPem;
    const { serviceAccountSecrets: enabledByDefault, caNamespace } = settings;
    this.#lifecycle = new Lifecycle(log);
    this.#secrets = new ServiceAccountSecrets(
      { trustDomain, enabledByDefault, caNamespace },
      { ...deps, issuer, trustBundle, log },
    );
    this.#roots = new RootConfigMaps({ ...deps, trustBundle, log });
    this.#joinTokens = new JoinTokenCleanup({ ...deps, log });
    const life = { certificateLifeMsMax: certificateLifeMsMax(settings) };
    this.#expiry = new RevocationExpiry(life, { ...deps, log });
  }

  async start(): Promise<void> {
    await this.#lifecycle.start([this.#joinTokens, this.#roots, this.#secrets, this.#expiry]);
  }

  /** To be called when the roots of the mesh changed. */
  async bundleChanged(): Promise<void> {
    await this.#roots.bundleChanged();
    await this.#secrets.bundleChanged();
  }

  async close(): Promise<void> {
    await this.#lifecycle.close();
  }
}
