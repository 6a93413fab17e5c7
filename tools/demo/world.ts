import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import { ManagedProcess } from '../../test/kit/child-process.ts';
import { freePort, serverPorts } from '../../test/kit/free-port.ts';
import { type HttpAnswer, KeepAliveClient } from '../../test/kit/keep-alive-client.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import { AgentStatusReader, type WorkloadView } from './agent-status.ts';
import { bulwark, DemoServer } from './demo-server.ts';

/** The three tiers: where each runs and as whom. */
const TIERS = [
  { name: 'datastore', namespace: 'datastore-ns', file: 'datastore.ts' },
  { name: 'photo-backend', namespace: 'photo-ns', file: 'backend.ts' },
  { name: 'photo-frontend', namespace: 'photo-ns', file: 'frontend.ts' },
] as const;

/** A tier's name. */
export type TierName = (typeof TIERS)[number]['name'];

export interface DemoWorldOptions {
  /** The checkout. */
  readonly root: string;
  /** An empty private folder, short enough for sockets below it. */
  readonly directory: string;
  /** How long certificates live, as a setting: short, so that the demo sees rotations. */
  readonly certTtl: string;
  readonly report: (step: string) => void;
}

const START_MS_MAX = 60_000;

/**
 * A mesh on this machine: a server, an agent for each team, an Envoy and an application for each
 * tier.
 */
export class DemoWorld {
  /** The control plane. */
  readonly server: DemoServer;
  readonly #options: DemoWorldOptions;
  readonly #agents = new Map<string, ManagedProcess>();
  readonly #apps = new Map<TierName, ManagedProcess>();
  readonly #appPorts = new Map<TierName, number>();
  readonly #statuses = new Map<string, AgentStatusReader>();

  constructor(options: DemoWorldOptions) {
    this.#options = options;
    const { root, directory, certTtl } = options;
    this.server = new DemoServer({
      root,
      data: join(directory, 'data'),
      certTtl,
      // It is killed, and comes back to them.
      ports: serverPorts,
    });
  }

  /** Processes of the world that run, for `--keep` and for reports. */
  get processes(): readonly ManagedProcess[] {
    const all = [this.server.process, ...this.#agents.values(), ...this.#apps.values()];
    return all.filter((one): one is ManagedProcess => one !== undefined && !one.exit);
  }

  async start(): Promise<void> {
    const { report } = this.#options;
    report('starting the control plane');
    await this.server.start();
    report('applying samples/photo: namespaces, service accounts, services, policies');
    await this.server.applySample();
    for (const { name } of TIERS) this.#appPorts.set(name, await freePort());
    report(
      'starting the agents of the two teams; each workload gets a key, a certificate and an Envoy',
    );
    await Promise.all([this.#startAgent('datastore-ns'), this.#startAgent('photo-ns')]);
    report('starting the three applications');
    await Promise.all(TIERS.map((tier) => this.#startApp(tier)));
    await this.#waitForPage();
  }

  /** Opens the page of the frontend as a browser would. */
  async frontendPage(): Promise<HttpAnswer> {
    return this.#once(this.appPortOf('photo-frontend'), '/');
  }

  /** Calls a service as a tier would: through the HTTP proxy of its Envoy. */
  async callAs(tier: TierName, url: string): Promise<HttpAnswer> {
    return this.#once(this.httpProxyPortOf(tier), url);
  }

  /** The same, again and again until the answer is one to look at. */
  callUntil(
    tier: TierName,
    url: string,
    done: (answer: HttpAnswer) => boolean,
  ): Promise<HttpAnswer> {
    return waitUntil(async () => {
      const answer = await this.callAs(tier, url);
      return done(answer) ? answer : undefined;
    }, `an answer of ${url}`);
  }

  appPortOf(tier: TierName): number {
    return this.#appPorts.get(tier) ?? 0;
  }

  httpProxyPortOf(tier: TierName): number {
    return this.#view(tier).httpProxyPort;
  }

  /** Where peers reach a tier's Envoy. */
  inboundOf(tier: TierName): { readonly address: string; readonly port: number } {
    return this.#view(tier).inbound;
  }

  identityOf(tier: TierName): SpiffeId {
    return this.#view(tier).identity;
  }

  /** The serial number of each tier's certificate, by tier. */
  async serials(): Promise<ReadonlyMap<string, string>> {
    await this.#refresh();
    return new Map(TIERS.map(({ name }) => [name, this.#view(name).serial]));
  }

  /** Identities and expiry of the certificates in use. */
  async identities(): Promise<readonly WorkloadView[]> {
    await this.#refresh();
    return TIERS.map(({ name }) => this.#view(name));
  }

  /**
   * What the agent of `tier` says about the refusal of a call by `caller`, for the reason that is
   * wanted.
   */
  denialAt(
    tier: TierName,
    caller: TierName,
    wanted: RegExp = /polic/i,
  ): Promise<{ reason: string; policies: readonly string[] }> {
    const peer = this.identityOf(caller);
    return waitUntil(async () => {
      await this.#refresh();
      return this.#view(tier).refusals.find(
        ({ kind, peer: refused, reason }) =>
          kind === 'policy' && refused === peer && wanted.test(reason),
      );
    }, `the agent's record of the refusal of ${peer}`);
  }

  /** What the agent of `tier` says about a server that its Envoy would not talk to. */
  serverRefusedBy(tier: TierName): Promise<{ detail: string }> {
    return waitUntil(async () => {
      await this.#refresh();
      return this.#view(tier).refusals.find(({ kind }) => kind === 'server');
    }, `the record of ${tier}'s agent about a refused server`);
  }

  /** Requests that the Envoy of a tier took. */
  requestsServed(tier: TierName): Promise<number> {
    return this.#statusOf(tier).statistic(
      tier,
      /^http\.inbound_.*downstream_rq_completed: (\d+)$/m,
    );
  }

  /** Servers that the Envoy of a tier refused for their identity, for one service. */
  sanFailures(tier: TierName, service: string): Promise<number> {
    const cluster = new RegExp(
      `^cluster\\.outbound\\|80\\|\\|${service}.*ssl\\.fail_verify_san: (\\d+)$`,
      'm',
    );
    return this.#statusOf(tier).statistic(tier, cluster);
  }

  /** Connections that the Envoy of a tier ever opened to a service. */
  connectionsTo(tier: TierName, service: string): Promise<number> {
    const cluster = new RegExp(
      `^cluster\\.outbound\\|80\\|\\|${service}.*upstream_cx_total: (\\d+)$`,
      'm',
    );
    return this.#statusOf(tier).statistic(tier, cluster);
  }

  /** A private folder that is gone with the world. */
  folder(name: string): string {
    const path = join(this.#options.directory, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Ends everything, applications first, and removes what is on disk. */
  async close(): Promise<void> {
    await Promise.all([...this.#apps.values()].map((app) => app.stop()));
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()));
    await this.server.stop();
    rmSync(this.#options.directory, { recursive: true, force: true });
  }

  async #startAgent(namespace: string): Promise<void> {
    const runDirectory = this.folder(`run-${namespace}`);
    const config = join(this.#options.directory, `agent-${namespace}.yaml`);
    writeFileSync(config, this.#agentConfig(namespace, runDirectory));
    const agent = bulwark(this.#options.root, {
      name: `agent of ${namespace}`,
      args: ['agent', '--config', config],
    });
    this.#agents.set(namespace, agent);
    const status = new AgentStatusReader(runDirectory);
    this.#statuses.set(namespace, status);
    await agent.waitForLine((line) => (line === 'ready' ? true : undefined), START_MS_MAX);
    await status.refresh();
  }

  #agentConfig(namespace: string, runDirectory: string): string {
    const workloads = TIERS.filter((tier) => tier.namespace === namespace).map(({ name }) => ({
      namespace,
      serviceAccount: name,
      name,
      group: name,
      mode: 'explicit',
      app: { ports: [{ name: 'http', port: this.#appPorts.get(name) }] },
    }));
    return JSON.stringify({
      discoveryAddress: this.server.addresses().discovery,
      caRoot: this.server.rootCertificate,
      kubeconfig: this.server.kubeconfig,
      runDirectory,
      secretTtl: this.#options.certTtl,
      envoyConcurrency: 1,
      workloads,
    });
  }

  async #startApp({ name, file }: (typeof TIERS)[number]): Promise<void> {
    const proxy = `http://127.0.0.1:${this.httpProxyPortOf(name)}`;
    const app = new ManagedProcess({
      name,
      command: process.execPath,
      args: [
        '--disable-warning=ExperimentalWarning',
        join(this.#options.root, 'samples/photo', file),
      ],
      env: {
        PORT: String(this.appPortOf(name)),
        HTTP_PROXY: proxy,
        http_proxy: proxy,
        DATABASE: join(this.folder(name), 'photos.sqlite'),
      },
    });
    this.#apps.set(name, app);
    const answers = async (): Promise<boolean> => {
      if (app.exit) throw new Error(`${name} ended${app.tail()}`);
      return (await this.#once(this.appPortOf(name), '/healthz')).status === 200;
    };
    await waitUntil(answers, `${name} to answer`, { withinMs: START_MS_MAX, everyMs: 50 });
  }

  async #waitForPage(): Promise<void> {
    const options = { withinMs: START_MS_MAX, everyMs: 50 };
    await waitUntil(async () => (await this.frontendPage()).status === 200, 'the page', options);
  }

  async #once(port: number, target: string): Promise<HttpAnswer> {
    const client = new KeepAliveClient({ port });
    try {
      return await client.ask({ target });
    } finally {
      client.close();
    }
  }

  #statusOf(tier: TierName): AgentStatusReader {
    const namespace = TIERS.find(({ name }) => name === tier)?.namespace ?? '';
    const status = this.#statuses.get(namespace);
    if (!status) throw new Error(`the agent of ${namespace} was not started`);
    return status;
  }

  #view(tier: TierName): WorkloadView {
    return this.#statusOf(tier).workload(tier);
  }

  async #refresh(): Promise<void> {
    await Promise.all([...this.#statuses.values()].map((status) => status.refresh()));
  }
}
