import { join } from 'node:path';
import { ADMIN_PATHS, type MeshView } from '#admin/contract.ts';
import { ensureAdminKubeconfig } from '#apiserver/admin-access.ts';
import { ApiServer } from '#apiserver/api-server.ts';
import { loadClientAuthority } from '#apiserver/client-authority.ts';
import type { Actions, Views } from '#apiserver/dispatch.ts';
import type { ClientChange } from '#apiserver/resource-context.ts';
import { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { loadTokenKey } from '#apiserver/token-key.ts';
import { present } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { ensurePrivateDirectory } from '#base/files.ts';
import { type Component, Lifecycle } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { readOidcRules } from '#ca/attestation/oidc-rules.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import { RecordedIssuer } from '#ca/journal/recorded-issuer.ts';
import { SqliteIssuanceJournal } from '#ca/journal/sqlite-issuance-journal.ts';
import { MESH_ROLES } from '#controlplane/access-roles.ts';
import {
  choosePorts,
  type ServerAddresses,
  type ServerPorts,
  writeAddresses,
} from '#controlplane/addresses.ts';
import { Audit } from '#controlplane/audit.ts';
import { type Authority, openAuthority } from '#controlplane/authority.ts';
import { bundlesView } from '#controlplane/bundles-view.ts';
import { CaControllers } from '#controlplane/ca-controllers.ts';
import { certificatesView } from '#controlplane/certificates-view.ts';
import { DataFolder } from '#controlplane/data-folder.ts';
import { Federation } from '#controlplane/federation.ts';
import { IssuerKeys } from '#controlplane/issuer-keys.ts';
import { openJwtKeys } from '#controlplane/jwt-svids.ts';
import { Mesh } from '#controlplane/mesh.ts';
import { MixerLists } from '#controlplane/mixer-lists.ts';
import { MonitoringServer } from '#controlplane/monitoring-server.ts';
import { mtlsView } from '#controlplane/mtls-view.ts';
import { reachableAt, urlHost } from '#controlplane/network.ts';
import { objectCheck } from '#controlplane/object-check.ts';
import { openPolicyStatus } from '#controlplane/open-policy-status.ts';
import { openRotation } from '#controlplane/open-rotation.ts';
import { proxiesView } from '#controlplane/proxies-view.ts';
import type { RootRotation } from '#controlplane/root-rotation.ts';
import { RootWatch } from '#controlplane/root-watch.ts';
import { keepSecretReaders } from '#controlplane/secret-readers.ts';
import { SERVER_NAMES } from '#controlplane/server-names.ts';
import { ServingCertificate, type ServingMaterial } from '#controlplane/serving-certificate.ts';
import { guardTrustDomain } from '#controlplane/trust-domain-guard.ts';
import { readTrustMemory, TrustMemory } from '#controlplane/trust-memory.ts';
import { trustViews } from '#controlplane/trust-views.ts';
import { UnheardAgents } from '#controlplane/unheard-agents.ts';
import { userActions } from '#controlplane/user-certificates.ts';
import { type ServerParts, XdsFront } from '#controlplane/xds-front.ts';
import { SqliteStore } from '#store/sqlite-store.ts';
import type { Store } from '#store/store.ts';

export interface ControlPlaneOptions {
  readonly settings: Settings;
  /** The data folder. */
  readonly data: string;
}

export interface ControlPlaneDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** For records, where the settings want them there. */
  readonly stdout: NodeJS.WritableStream;
}

const LOOPBACK = '127.0.0.1';
/** The issuer of service account tokens, and the audience of the API itself. */
const TOKEN_ISSUER = 'https://kubernetes.default.svc.cluster.local';
const SERVING_TTL_MS = 90 * 24 * 3_600_000;

/**
 * The whole control plane in one process. The only place that sees every room; it holds no logic of
 * its own.
 */
export class ControlPlane implements Component {
  readonly name = 'controlplane';
  readonly #options: ControlPlaneOptions;
  readonly #deps: ControlPlaneDeps;
  readonly #folder: DataFolder;
  readonly #lifecycle: Lifecycle;
  #addresses: ServerAddresses | undefined;
  #isReady = false;

  constructor(options: ControlPlaneOptions, deps: ControlPlaneDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#folder = new DataFolder(options.data);
    this.#lifecycle = new Lifecycle(deps.log);
  }

  /** Where it listens; only once it is started. */
  get addresses(): ServerAddresses {
    return present(this.#addresses, 'addresses of a started control plane');
  }

  /** The administrator's kubeconfig. */
  get kubeconfig(): string {
    return this.#folder.paths.kubeconfig;
  }

  async start(): Promise<void> {
    await this.#folder.open();
    try {
      await this.#start();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isReady = false;
    await this.#lifecycle.close();
    this.#folder.close();
  }

  async #start(): Promise<void> {
    const { settings } = this.#options;
    const { paths } = this.#folder;
    const mesh = new Mesh(settings);
    const { trustDomain } = mesh.settings;
    const memoryFile = join(paths.ca, 'trust-peers.json');
    await this.#guardTrustDomain(mesh, memoryFile);
    const authority = await openAuthority(settings, { paths, trustDomain }, this.#deps);
    const ports = await this.#choosePorts();
    const store = new SqliteStore({ path: join(paths.store, 'store.db') }, this.#deps);
    const journal = new SqliteIssuanceJournal({ path: join(paths.ca, 'issuance.db') }, this.#deps);
    const serving = this.#servingCertificate(authority, journal);
    const jwtKeys = openJwtKeys(paths.ca, this.#deps);
    const audit = new Audit({ settings, directory: paths.audit }, this.#deps);
    const issuerKeys = new IssuerKeys({ settings, folder: paths.keys }, { ...this.#deps, mesh });
    await this.#lifecycle.start([store, journal, serving, jwtKeys, issuerKeys, audit]);
    const tokens = await this.#tokens(store);
    const oidcRules = await readOidcRules(settings.oidcRules);
    const own = { mesh, authority, store, serving, journal };
    const parts = { ...own, oidcRules, tokens, jwtKeys, issuerKeys, audit };
    const lists = new MixerLists({ settings, folder: paths.lists }, { ...this.#deps, mesh });
    const xds = new XdsFront({ settings, port: ports.secure }, { ...this.#deps, ...parts, lists });
    const { peers } = xds.trust;
    const memory = new TrustMemory(memoryFile, { ...this.#deps, peers });
    // Before anybody can ask for a step of the rotation.
    await this.#lifecycle.start([memory]);
    const federation = this.#federation(parts);
    const unheard = new UnheardAgents({ ...this.#deps, journal });
    const proof = { xds, federation, memory, unheard, audit };
    const rotation = openRotation(authority, { ...this.#deps, ...proof });
    const watch = this.#rootWatch(rotation);
    const views = {
      ...audit.views(),
      [ADMIN_PATHS.roots]: () => rotation.view(),
      [ADMIN_PATHS.proxies]: () => proxiesView(xds.proxies()),
      [ADMIN_PATHS.bundles]: () => bundlesView(mesh.model.snapshot(), parts),
      [ADMIN_PATHS.certificates]: () => certificatesView(journal.list()),
      [ADMIN_PATHS.jwks]: () => issuerKeys.view(),
      [ADMIN_PATHS.lists]: () => lists.view(),
      [ADMIN_PATHS.mesh]: () => ({ settings: mesh.settings }) satisfies MeshView,
      [ADMIN_PATHS.mtls]: () => mtlsView(xds.mtlsEvidence()),
      ...trustViews({ xds, unheard, store }),
    };
    const actions = {
      [ADMIN_PATHS.roots]: rotation.act.bind(rotation),
      [ADMIN_PATHS.jwks]: () => issuerKeys.refresh(),
    };
    const api = await this.#startApi(parts, { port: ports.api, views, actions });
    keepSecretReaders(api.secretRights, mesh.model, () => lists.meshChanged());
    const monitoring = new MonitoringServer(
      { host: LOOPBACK, port: ports.monitoring },
      { metrics: this.#deps.metrics, isReady: () => this.#isReady && authority.canSign() },
    );
    const controllers = new CaControllers({ settings, trustDomain }, { ...this.#deps, ...own });
    const status = openPolicyStatus(mesh, xds, { ...this.#deps, store });
    lists.onNews(() => status.recheck());
    authority.roots.onChange(async () => {
      await serving.renewNow();
      await xds.publishTrust();
      await controllers.bundleChanged();
    });
    const { components } = authority;
    await this.#lifecycle.start([xds, unheard, controllers, ...components, watch, federation]);
    await this.#lifecycle.start([status, monitoring]);
    const served = { api: api.address.port, secure: xds.port, monitoring: monitoring.port };
    await this.#publish(served, federation.endpointPort);
    this.#isReady = true;
  }

  /** Tells where everything is, to whom it may concern: files for agents, the log for people. */
  async #publish(ports: ServerPorts, bundlePort: number | undefined): Promise<void> {
    const host = urlHost(this.#options.settings.bindAddress);
    this.#addresses = {
      api: `https://${host}:${ports.api}`,
      discovery: `${host}:${ports.secure}`,
      monitoring: `http://${LOOPBACK}:${ports.monitoring}`,
      ...(bundlePort !== undefined && { bundleEndpoint: `https://${host}:${bundlePort}` }),
      ports,
    };
    await writeAddresses(this.#folder.paths.addresses, this.#addresses);
    this.#deps.log.info('ready', { ...this.#addresses });
  }

  /** Before anything is made for the new names. */
  async #guardTrustDomain({ settings }: Mesh, memoryFile: string): Promise<void> {
    const isForced = this.#options.settings.trustDomainChange === 'forced';
    const path = join(this.#folder.path, 'trust-domain.json');
    const known = await readTrustMemory(memoryFile, this.#deps);
    const now = this.#deps.clock.now();
    const peers = known.filter(({ certificate }) => certificate.notAfterAt >= now);
    await guardTrustDomain({ path, settings, isForced }, { ...this.#deps, peers });
  }

  #choosePorts(): Promise<ServerPorts> {
    const { apiPort, securePort, monitoringPort, bindAddress } = this.#options.settings;
    return choosePorts(
      { api: apiPort, secure: securePort, monitoring: monitoringPort },
      { file: this.#folder.paths.addresses, host: bindAddress },
      this.#deps.log,
    );
  }

  #federation(parts: ServerParts): Federation {
    const { settings } = this.#options;
    const directory = this.#folder.paths.ca;
    const options = { settings, mesh: parts.mesh.settings, directory };
    return new Federation(options, { ...this.#deps, ...parts });
  }

  #rootWatch(rotation: RootRotation): RootWatch {
    const { rootRotation, caCertificates, upstreamCa } = this.#options.settings;
    const isOwn = caCertificates === undefined && upstreamCa === undefined;
    const isAutomatic = rootRotation === 'automatic' && isOwn;
    return new RootWatch({ isAutomatic }, { ...this.#deps, rotation });
  }

  #servingCertificate({ issuer: plain }: Authority, journal: IssuanceJournal) {
    const issuer = new RecordedIssuer('server', { ...this.#deps, issuer: plain, journal });
    const { bindAddress } = this.#options.settings;
    const ipAddresses = [...new Set(['127.0.0.1', '::1', ...reachableAt(bindAddress)])];
    const options = { dnsNames: SERVER_NAMES, ipAddresses, ttlMs: SERVING_TTL_MS };
    return new ServingCertificate(options, { ...this.#deps, issuer });
  }

  async #tokens(store: Store): Promise<ServiceAccountTokens> {
    const directory = this.#folder.paths.access;
    await ensurePrivateDirectory(directory);
    const key = await loadTokenKey(join(directory, 'token-key.pem'));
    return new ServiceAccountTokens({ issuer: TOKEN_ISSUER }, { ...this.#deps, store, key });
  }

  /** The API server, and the kubeconfig that leads to it. */
  async #startApi(
    parts: ServerParts,
    options: { readonly port: number; readonly views: Views; readonly actions: Actions },
  ): Promise<ApiServer> {
    const { store, tokens, serving, authority, mesh, audit } = parts;
    const { views, actions } = options;
    const check = objectCheck(mesh);
    const onChange = (change: ClientChange): void => audit.changed(change);
    const { bindAddress, rootNamespace, caNamespace } = this.#options.settings;
    const clients = await loadClientAuthority(this.#folder.paths.access, this.#deps);
    const users = userActions({ authority: clients, log: this.#deps.log, onChange });
    const tlsOf = ({ privateKeyPem, certificateChainPem }: ServingMaterial) => ({
      key: privateKeyPem.reveal(),
      cert: certificateChainPem,
      clientCa: clients.certificate,
    });
    const api = new ApiServer(
      {
        host: bindAddress,
        port: options.port,
        initialNamespaces: [...new Set([rootNamespace, caNamespace])],
        roles: MESH_ROLES,
        tls: tlsOf(present(serving.material, 'the serving certificate')),
      },
      { ...this.#deps, store, tokens, views, actions: { ...actions, ...users }, check, onChange },
    );
    await this.#lifecycle.start([api]);
    serving.onRenewed((material) => api.updateTls(tlsOf(material)));
    const server = `https://${urlHost(bindAddress)}:${api.address.port}`;
    const writeAccess = async (): Promise<void> => {
      const access = { path: this.kubeconfig, server, serverCa: authority.rootPem };
      if (await ensureAdminKubeconfig(access, clients))
        this.#deps.log.info('wrote the kubeconfig of the administrator', { path: access.path });
    };
    await writeAccess();
    authority.roots.onChange(writeAccess);
    return api;
  }
}
