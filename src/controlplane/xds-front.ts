import type { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import type { CallIntake } from '#audit/call-intake.ts';
import { present } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { GRPC_STATUS, type GrpcCall, type GrpcService, GrpcStatusError } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { type Component, Lifecycle } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import type { OidcRule } from '#ca/attestation/oidc-rules.ts';
import type { CrlPublisher } from '#ca/crl-publisher.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import type { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import type { SignerStanding } from '#ca/roots/mesh-roots.ts';
import { WorkloadRegistration } from '#controllers/workload-registration.ts';
import type { Audit } from '#controlplane/audit.ts';
import type { Authority } from '#controlplane/authority.ts';
import { channelAuthenticator } from '#controlplane/channel-authenticator.ts';
import { type Issuance, openIssuance } from '#controlplane/issuance.ts';
import type { IssuerKeys } from '#controlplane/issuer-keys.ts';
import { openJwtSvids } from '#controlplane/jwt-svids.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { MeshConfigWatch } from '#controlplane/mesh-config-watch.ts';
import type { MixerLists } from '#controlplane/mixer-lists.ts';
import { ModelFeed } from '#controlplane/model-feed.ts';
import type { MtlsEvidence } from '#controlplane/mtls-view.ts';
import { serverReflection } from '#controlplane/reflection.ts';
import { requestFaults } from '#controlplane/request-faults.ts';
import { RevocationCheck } from '#controlplane/revocation.ts';
import { announceArrivals, followOthers, revocationList } from '#controlplane/revocation-list.ts';
import type { ServingCertificate, ServingMaterial } from '#controlplane/serving-certificate.ts';
import type { OwnStanding } from '#controlplane/site-proof.ts';
import { trustBundles } from '#controlplane/trust-bundles.ts';
import type { DomainEvidence } from '#controlplane/trust-domain-view.ts';
import { xdsAuthenticator } from '#controlplane/xds-authenticator.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { TrustBundles } from '#model/trust-bundles.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import type { Store } from '#store/store.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { XdsResource } from '#xds/resource.ts';
import { AdsServer } from '#xds/serve/ads-server.ts';
import type { ProxyProgress, ProxyStatus } from '#xds/serve/proxy-status.ts';
import { trustResource } from '#xds/serve/trust-resource.ts';
import { TrustServer } from '#xds/serve/trust-server.ts';

/** What the parts of a control plane share. */
export interface ServerParts {
  readonly mesh: Mesh;
  readonly authority: Authority;
  readonly store: Store;
  readonly serving: ServingCertificate;
  readonly tokens: ServiceAccountTokens;
  readonly journal: IssuanceJournal;
  readonly oidcRules: readonly OidcRule[];
  /** Started. */
  readonly jwtKeys: JwtKeys;
  /** Started. */
  readonly issuerKeys: IssuerKeys;
  /** Started. */
  readonly audit: Audit;
}

export interface XdsFrontOptions {
  readonly settings: Settings;
  /** 0 = any free one. */
  readonly port: number;
}

export interface XdsFrontDeps extends ServerParts {
  readonly lists: MixerLists;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: RandomSource;
  readonly metrics: Metrics;
}

/** How long a workload stays an endpoint after its proxy went away, and after a start of ours. */
const REGISTRATION = { graceMs: 10_000, restartGraceMs: 60_000 };

const RENAMED = 'the identity of this workload is of another trust domain by now';

/**
 * The port that agents and Envoys talk to: certificates and configuration, on TLS only (CA-6,
 * OP-7).
 */
export class XdsFront implements Component {
  readonly name = 'xds';
  readonly #deps: XdsFrontDeps;
  readonly #lifecycle: Lifecycle;
  readonly #registration: WorkloadRegistration;
  readonly #options: XdsFrontOptions;
  readonly #issuance: Issuance;
  readonly #ads: AdsServer;
  readonly #calls: CallIntake;
  readonly #revocation: RevocationCheck;
  /** The revocation lists of the mesh. */
  readonly crl: CrlPublisher;
  /** Tells workloads what to trust, and knows who does. */
  readonly trust: TrustServer;
  #grpc: GrpcServer | undefined;
  #onProgress: () => void = () => {};
  /** The roots as workloads were told last, PEM. */
  #rootsPem = '';
  /** As they were published last. */
  #federated: TrustBundles | undefined;

  constructor(options: XdsFrontOptions, deps: XdsFrontDeps) {
    const { mesh, clock, metrics } = deps;
    const log = deps.log.child({ component: 'xds' });
    this.#options = options;
    this.#deps = deps;
    this.#lifecycle = new Lifecycle(log);
    this.#registration = new WorkloadRegistration(REGISTRATION, { store: deps.store, clock, log });
    this.#revocation = new RevocationCheck(mesh);
    this.#issuance = openIssuance(options.settings, { ...deps, revocation: this.#revocation });
    this.crl = revocationList(options.settings, {
      ...deps,
      revocation: this.#revocation,
      onChange: () => this.#publishTrust(),
    });
    const proofs = {
      ...deps,
      trustDomains: meshTrustDomains(mesh.settings),
      authenticateToken: (call: GrpcCall) => this.#issuance.tokenAuthenticator.authenticate(call),
      isRevoked: this.#revocation.coversCertificate.bind(this.#revocation),
    };
    const trust = { authenticate: channelAuthenticator(proofs), clock, log };
    this.trust = new TrustServer(this.#trustResource(), trust);
    announceArrivals({ lists: this.crl, trust: this.trust }, { ...deps, log });
    this.#calls = deps.audit.intake({ authenticate: xdsAuthenticator(proofs) });
    this.#ads = new AdsServer({
      authenticate: xdsAuthenticator(proofs),
      source: mesh,
      onConnect: (node) => {
        if (this.#isRenamed(node)) throw new GrpcStatusError(GRPC_STATUS.unauthenticated, RENAMED);
        return this.#registration.connected(node);
      },
      onDisconnect: (node) => this.#registration.disconnected(node),
      onProgress: () => this.#onProgress(),
      clock,
      metrics,
      log,
    });
    this.trust.peers.onRenamed(({ nodeId }) =>
      this.#ads.endStreams((_, node) => node.nodeId === nodeId && this.#isRenamed(node)),
    );
  }

  /**
   * Whether a proxy's connection was opened under another name of the trust domain than it has by
   * now. What it gets depends on its name, so it has to come back with the new one.
   */
  #isRenamed(node: ProxyNode): boolean {
    const identity = this.trust.peers.identityOf(node);
    return identity !== undefined && identity !== node.identity;
  }

  /** Sends roots and lists to every workload; to be called when the roots changed. */
  async publishTrust(): Promise<void> {
    await this.crl.update();
  }

  /** The port it listens on, once started. */
  get port(): number {
    return present(this.#grpc, 'the gRPC server of a started front').port;
  }

  /** The proxies that are connected. */
  proxies(): readonly ProxyStatus[] {
    return this.#ads.proxies();
  }

  /** Which changes of the mesh are in force in each of them. */
  progress(): readonly ProxyProgress[] {
    return this.#ads.progress();
  }

  /** `listener` is called, often, whenever `progress` may say something new. */
  onProgress(listener: () => void): void {
    this.#onProgress = listener;
  }

  /** What is known of who connects to whom, and how. */
  mtlsEvidence(): MtlsEvidence {
    return {
      mesh: this.#deps.mesh.model.snapshot(),
      nodes: this.#ads.nodes(),
      connectionsOf: (node) => this.trust.connections.of(node),
      now: this.#deps.clock.now(),
    };
  }

  /** What is known of who took the roots, and which ones. */
  trustEvidence() {
    const { peers, version } = this.trust;
    const evidence = { peers: peers.all(), proxies: this.proxies(), version };
    const rootsPem = this.#rootsPem;
    return { ...evidence, rootsPem } satisfies Omit<OwnStanding, 'unheard' | keyof SignerStanding>;
  }

  /** What is known of how workloads follow the names of the trust domain. */
  domainEvidence(): Omit<DomainEvidence, 'unheard'> {
    return { ...this.trustEvidence(), settings: this.#deps.mesh.settings };
  }

  async start(): Promise<void> {
    const { mesh, store, serving, log } = this.#deps;
    const onChange = (): void => {
      // Roots first: a proxy that hears of a trust domain then has what verifies its identities.
      if (mesh.model.snapshot().trustBundles !== this.#federated) this.#publishBundles();
      this.#ads.configChanged();
      if (this.#revocation.hasChanged()) void this.#revoke();
    };
    const { issuerKeys, lists } = this.#deps;
    issuerKeys.onChange(onChange);
    lists.onChange({ lists: onChange, mesh: () => issuerKeys.meshChanged() });
    followOthers({ ...this.#deps, crl: this.crl }, onChange);
    const config = new MeshConfigWatch({ store, mesh, onChange, log });
    const meshChanged = (): void => lists.meshChanged();
    const feed = new ModelFeed({ store, model: mesh.model, onChange: meshChanged, log });
    const grpc = this.#grpcServer(present(serving.material, 'the serving certificate'));
    this.#grpc = grpc;
    serving.onRenewed((material) => grpc.updateTls(this.#tls(material)));
    this.#deps.jwtKeys.onChange(() => this.#publishBundles());
    this.#publishBundles();
    await this.#lifecycle.start([lists, config, feed]);
    // Proxies that come back after a restart should not hear of rules without their lists.
    await lists.settled();
    await this.#lifecycle.start([this.crl, this.#registration, grpc]);
  }

  async close(): Promise<void> {
    this.#ads.close();
    this.#calls.close();
    this.trust.close();
    await this.#lifecycle.close();
  }

  #publishTrust(): void {
    this.trust.publish(this.#trustResource());
    this.#publishBundles();
  }

  #publishBundles(): void {
    const { mesh } = this.#deps;
    const snapshot = mesh.model.snapshot();
    this.#federated = snapshot.trustBundles;
    this.trust.publishBundles(trustBundles(snapshot, this.#deps));
  }

  #trustResource(): XdsResource {
    this.#rootsPem = this.crl.content.rootsPem;
    return trustResource(this.crl.content);
  }

  /** Peers hear of it first: a workload that sees its own certificate there asks for another. */
  async #revoke(): Promise<void> {
    await this.crl.update();
    const check = this.#revocation;
    const covers = ({ peer }: Pick<GrpcCall, 'peer'>, identity: SpiffeId): boolean =>
      check.coversCertificate(peer.verifiedCertificate, identity);
    this.#ads.endStreams((call, { identity }) => covers(call, identity));
    this.#calls.endStreams(covers);
    this.trust.endStreams(({ serial }, identity) => check.covers({ identity, serial }));
  }

  #jwtSvids(): GrpcService {
    const { authenticator } = this.#issuance;
    const { jwtKeys: keys, ...deps } = this.#deps;
    const parts = { ...deps, keys, authenticator, revocation: this.#revocation };
    return openJwtSvids(this.#options.settings, parts);
  }

  #grpcServer(material: ServingMaterial): GrpcServer {
    const { clock, log } = this.#deps;
    return new GrpcServer(
      {
        name: 'xds',
        listen: { host: this.#options.settings.bindAddress, port: this.#options.port },
        tls: this.#tls(material),
        services: [
          this.#issuance.service,
          this.#ads.service,
          this.#calls.service,
          this.trust.service,
          this.#jwtSvids(),
          serverReflection(),
        ],
      },
      { log, clock, onFault: requestFaults(this.#deps) },
    );
  }

  #tls({ privateKeyPem, certificateChainPem }: ServingMaterial) {
    return { privateKeyPem, certificateChainPem, clientCaPem: this.#deps.authority.rootPem };
  }
}
