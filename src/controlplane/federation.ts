import { join } from 'node:path';
import type { Diagnostic } from '#api/diagnostic.ts';
import { invalid } from '#api/field-error.ts';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import type { ApiObject } from '#api/object.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { type Component, Lifecycle } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import { RecordedIssuer } from '#ca/journal/recorded-issuer.ts';
import type { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import { TrustBundleRefresh } from '#controllers/federation/trust-bundle-refresh.ts';
import type { Authority } from '#controlplane/authority.ts';
import { BundleEndpoint } from '#controlplane/bundle-endpoint.ts';
import { BundleSequence } from '#controlplane/bundle-sequence.ts';
import { CertificateFile } from '#controlplane/certificate-file.ts';
import { ServingCertificate } from '#controlplane/serving-certificate.ts';
import { ownBundle } from '#controlplane/trust-bundles.ts';
import { AddressRules } from '#jwks/address-rules.ts';
import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { bundleDocument } from '#spiffe/bundle.ts';
import { type SpiffeId, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import type { Store } from '#store/store.ts';

export interface FederationOptions {
  readonly settings: Settings;
  readonly mesh: MeshSettings;
  /** The folder of the authority. */
  readonly directory: string;
}

export interface FederationDeps {
  readonly authority: Authority;
  readonly jwtKeys: JwtKeys;
  readonly journal: IssuanceJournal;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The account that the bundle endpoint is known by, in the root namespace. */
const ENDPOINT_ACCOUNT = 'bundle-endpoint';
const SERVING_TTL_MS = 24 * 3_600_000;

/** Fetches the bundles of other trust domains, and serves ours to them. */
export class Federation implements Component {
  readonly name = 'federation';
  readonly #options: FederationOptions;
  readonly #deps: FederationDeps;
  readonly #lifecycle: Lifecycle;
  readonly #sequence: BundleSequence;
  #endpoint: BundleEndpoint | undefined;
  #bundle = '';

  constructor(options: FederationOptions, deps: FederationDeps) {
    const log = deps.log.child({ component: 'federation' });
    this.#options = options;
    this.#deps = { ...deps, log };
    this.#lifecycle = new Lifecycle(log);
    this.#sequence = new BundleSequence(join(options.directory, 'bundle-sequence.json'), deps);
  }

  /** The port of the bundle endpoint; undefined when there is none. */
  get endpointPort(): number | undefined {
    return this.#endpoint?.port;
  }

  /**
   * When all who fetch our bundle should have it as it is now, wall-clock milliseconds: after two
   * times what they are asked to look. 0 when nobody can fetch it.
   */
  get bundleIsKnownAt(): number {
    const { bundleEndpointPort, bundleRefreshHint } = this.#options.settings;
    if (bundleEndpointPort === undefined) return 0;
    return this.#sequence.changedAt + 2 * bundleRefreshHint;
  }

  /** @throws BulwarkError of the parts */
  async start(): Promise<void> {
    const { settings, mesh } = this.#options;
    const rules = new AddressRules({
      blocked: settings.jwksBlockedAddresses,
      allowed: settings.jwksAllowedAddresses,
    });
    const refresh = new TrustBundleRefresh({ rules, own: meshTrustDomains(mesh) }, this.#deps);
    await this.#lifecycle.start([refresh]);
    if (settings.bundleEndpointPort !== undefined)
      await this.#startEndpoint(settings.bundleEndpointPort);
  }

  async close(): Promise<void> {
    await this.#lifecycle.close();
  }

  async #startEndpoint(port: number): Promise<void> {
    const { settings } = this.#options;
    const { jwtKeys, authority, log } = this.#deps;
    await this.#sequence.open();
    await this.#renewBundle();
    const serving = this.#serving();
    const endpoint = new BundleEndpoint(
      { host: settings.bindAddress, port, issuer: settings.jwtIssuer },
      {
        serving,
        bundle: () => this.#bundle,
        keys: () => JSON.stringify({ keys: jwtKeys.authorities }),
        log,
      },
    );
    await this.#lifecycle.start([serving, endpoint]);
    this.#endpoint = endpoint;
    jwtKeys.onChange(() => {
      this.#renewBundle().catch((error) => log.error('the bundle cannot be renewed', { error }));
    });
    authority.roots.onChange(async () => {
      await this.#renewBundle();
      if (serving instanceof ServingCertificate) await serving.renewNow();
    });
  }

  async #renewBundle(): Promise<void> {
    const bundle = ownBundle(this.#deps);
    const sequence = await this.#sequence.of(JSON.stringify(bundleDocument(bundle)));
    const refreshHintSeconds = Math.floor(this.#options.settings.bundleRefreshHint / 1000);
    this.#bundle = JSON.stringify(bundleDocument({ ...bundle, sequence, refreshHintSeconds }));
  }

  /** A certificate that others gave us (https_web), or one of the mesh (https_spiffe). */
  #serving(): ServingCertificate | CertificateFile {
    const { settings, mesh } = this.#options;
    const { bundleEndpointCertificate: certificate, bundleEndpointKey: key } = settings;
    if (certificate !== undefined || key !== undefined) {
      if (certificate !== undefined && key !== undefined)
        return new CertificateFile({ certificate, key }, this.#deps);
      const message = 'bundleEndpointCertificate and bundleEndpointKey belong together';
      throw new BulwarkError('SETTINGS_INVALID', message, { remedy: 'set both, or none' });
    }
    const { authority, journal, clock } = this.#deps;
    const issuer = new RecordedIssuer('bundle-endpoint', {
      issuer: authority.issuer,
      journal,
      clock,
    });
    const identity = endpointIdentity(mesh);
    return new ServingCertificate(
      { dnsNames: [], ipAddresses: [], ttlMs: SERVING_TTL_MS },
      {
        ...this.#deps,
        issuer: {
          issueForServer: ({ publicKey, ttlMs }) =>
            issuer.issueForWorkload({ identity, publicKey, ttlMs }),
        },
      },
    );
  }
}

/** Who serves the bundle endpoint, by the profile https_spiffe. */
export function endpointIdentity({ trustDomain, rootNamespace }: MeshSettings): SpiffeId {
  const account = { namespace: rootNamespace, serviceAccount: ENDPOINT_ACCOUNT };
  return workloadSpiffeId({ trustDomain, ...account });
}

/** Refuses objects by which somebody else would speak for a trust domain of this mesh. */
export function ownDomainRefusal(object: ApiObject, mesh: MeshSettings): readonly Diagnostic[] {
  if (object.kind !== trustBundle.kind || object.apiVersion !== trustBundle.apiVersion) return [];
  const { trustDomain = '' } = (object as TrustBundle).spec;
  const own: readonly string[] = meshTrustDomains(mesh);
  if (!own.includes(trustDomain)) return [];
  const why = 'is a trust domain of this mesh, for which only its own authority speaks';
  return [invalid('spec.trustDomain', trustDomain, why)];
}
