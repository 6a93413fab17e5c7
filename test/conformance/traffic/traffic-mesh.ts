import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { ManagedProcess } from '../../kit/child-process.ts';
import { AppliedObjects } from './applied-objects.ts';

/** A pod that gets a proxy. */
export interface PodDescription {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mode: 'redirect' | 'gateway';
}

export interface TrafficMeshOptions {
  /** The address of the control plane. */
  readonly hub: string;
  /** Of the names of network namespaces: `<prefix>-<pod>`. */
  readonly prefix: string;
  /** For data, logs and sockets; made when it is missing. */
  readonly directory: string;
  /** Files that DestinationRules of the data name. */
  readonly files: string;
}

/** What of a mesh configuration is handled here. */
interface MeshConfig {
  readonly trustDomainAliases?: readonly string[];
}

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const ENVOY = new URL('../../../gen/envoy.json', import.meta.url);
/** The user and group of proxies, whose traffic is not redirected. */
const PROXY_USER = 1337;
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 2_500;
const TOKEN_SECONDS = 24 * 3600;
const ROOT_NAMESPACE = 'istio-system';
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];

/** A control plane, and agent and Envoy in each pod, as users run them. */
export class TrafficMesh {
  readonly #options: TrafficMeshOptions;
  readonly #processes: ManagedProcess[] = [];
  #server: ManagedProcess | undefined;
  #client: KubeClient | undefined;
  #objects: AppliedObjects | undefined;
  #meshText = '';
  #aliases: readonly string[] = [];
  #linesRead = 0;
  /** Configuration that was refused, by the API or by a proxy, in order. */
  readonly refusals: string[] = [];

  constructor(options: TrafficMeshOptions) {
    this.#options = options;
  }

  /** Starts everything; returns when every proxy has its configuration. */
  async start(pods: readonly PodDescription[]): Promise<void> {
    const { directory } = this.#options;
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
    await this.#startServer();
    const envoy = this.#copyEnvoy();
    await Promise.all(pods.map((pod) => this.#startAgent(pod, envoy)));
  }

  /**
   * The mesh configuration from now on, beside trust domain and root namespace. Other names of the
   * trust domain are known to a server from its start on.
   */
  async setMesh(text: string): Promise<void> {
    if (text === this.#meshText) return;
    this.#meshText = text;
    const { trustDomainAliases = [], ...config } = (parse(text) ?? {}) as MeshConfig;
    if (!isDeepStrictEqual(trustDomainAliases, this.#aliases)) {
      this.#aliases = trustDomainAliases;
      await this.#startServer();
    }
    await this.#present().setMesh(ROOT_NAMESPACE, JSON.stringify(config));
  }

  /** The whole configuration from now on: JSON documents between lines of `---`. */
  async setObjects(text: string): Promise<void> {
    this.refusals.push(...(await this.#present().replace(text)));
    const lines = this.#server?.lines ?? [];
    const fresh = lines
      .slice(this.#linesRead)
      .filter((line) => line.includes('rejected by the proxy'));
    this.#linesRead = lines.length;
    this.refusals.push(...fresh);
  }

  /** How many TLS handshakes a pod's proxy has seen on inbound connections. */
  async handshakes(pod: string): Promise<number> {
    const socketPath = join(this.#runDirectory(pod), 'w0', 'admin.sock');
    const text = await ask(socketPath, '/stats?filter=15006.ssl.handshake');
    return Number(/ssl\.handshake: (\d+)/.exec(text)?.[1] ?? 0);
  }

  /** Ends everything, with force after a while. */
  async stop(): Promise<void> {
    this.#client?.close();
    for (const child of this.#processes) child.signal('SIGTERM');
    const ended = Promise.all(this.#processes.map((child) => child.ended));
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS_MAX))]);
    for (const { pid } of this.#processes) killGroup(pid);
  }

  #present(): AppliedObjects {
    if (!this.#objects) throw new Error('the control plane was not started');
    return this.#objects;
  }

  #runDirectory(pod: string): string {
    return join(this.#options.directory, `agent-${pod}`);
  }

  async #startServer(): Promise<void> {
    const { hub, directory } = this.#options;
    await this.#server?.stop();
    this.#client?.close();
    const data = join(directory, 'data');
    const ports = ['--secure-port', '15012', '--monitoring-port', '0'];
    const names = ['--trust-domain-aliases', this.#aliases.join(',')];
    const profile = ['--hardening', 'istio', '--bind-address', hub, ...names];
    const args = [...NODE_FLAGS, MAIN, 'server', '--data', data, ...ports, ...profile];
    this.#server = this.#run('server', process.execPath, args);
    await this.#server.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
    this.#client = new KubeClient(await readKubeconfig(join(data, 'admin.kubeconfig')));
    this.#objects = new AppliedObjects(this.#client, this.#objects);
    copyFileSync(join(data, 'root-cert.pem'), join(directory, 'root-cert.pem'));
    chmodSync(join(directory, 'root-cert.pem'), 0o644);
  }

  /** Where the proxies' user may read it. */
  #copyEnvoy(): string {
    const { path } = JSON.parse(readFileSync(ENVOY, 'utf8')) as { path: string };
    const copy = join(this.#options.directory, 'envoy');
    copyFileSync(path, copy);
    chmodSync(copy, 0o755);
    return copy;
  }

  async #startAgent(pod: PodDescription, envoyPath: string): Promise<void> {
    const { directory, hub, prefix, files } = this.#options;
    const runDirectory = this.#runDirectory(pod.name);
    mkdirSync(runDirectory, { mode: 0o700 });
    const tokenFile = join(directory, `${pod.name}.token`);
    writeFileSync(tokenFile, await this.#token(pod), { mode: 0o600 });
    for (const path of [runDirectory, tokenFile]) chownSync(path, PROXY_USER, PROXY_USER);
    const { namespace, serviceAccount, name, address, labels, mode } = pod;
    const config = join(directory, `${name}.json`);
    const workload = { namespace, serviceAccount, name, mode, labels, tokenFile };
    const settings = {
      discoveryAddress: `${hub}:15012`,
      caRoot: join(directory, 'root-cert.pem'),
      runDirectory,
      envoyPath,
      envoyConcurrency: 1,
      drainDuration: '1s',
      secretDirectories: [files],
      workloads: [{ ...workload, addresses: [address] }],
    };
    writeFileSync(config, JSON.stringify(settings));
    const ids = [`--reuid=${PROXY_USER}`, `--regid=${PROXY_USER}`, '--clear-groups'];
    const user = ['setpriv', ...ids, ...readingHidden(MAIN)];
    const inside = ['netns', 'exec', `${prefix}-${name}`, ...user];
    const command = [process.execPath, ...NODE_FLAGS, MAIN, 'agent', '--config', config];
    const agent = this.#run(`agent-${name}`, 'ip', [...inside, ...command]);
    await agent.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
  }

  /** A token for the service account of a pod, which is made when it is missing. */
  async #token({ namespace, serviceAccount }: PodDescription): Promise<string> {
    const client = this.#client;
    if (!client) throw new Error('the control plane was not started');
    await this.#present().ensureNamespace(namespace);
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: serviceAccount } };
    const made = await client.send({ method: 'POST', path: accounts, body });
    if (made.status !== 201 && made.status !== 409)
      throw new Error(`service account ${namespace}/${serviceAccount}: ${made.status}`);
    const spec = { audiences: ['istio-ca'], expirationSeconds: TOKEN_SECONDS };
    const answer = await client.expect({
      method: 'POST',
      path: `${accounts}/${serviceAccount}/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
    });
    return (answer as { status: { token: string } }).status.token;
  }

  #run(name: string, command: string, args: readonly string[]): ManagedProcess {
    const child = new ManagedProcess({ name, command, args, env: { KUBECONFIG: undefined } });
    this.#processes.push(child);
    return child;
  }
}

/** What lets agents of another user run from sources that only root may reach. */
function readingHidden(file: string): readonly string[] {
  const folder = dirname(file);
  if (folder === file) return [];
  if ((statSync(folder).mode & 0o001) !== 0) return readingHidden(folder);
  return ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left in the group
  }
}

function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      resolve(text);
    });
    sent.on('error', reject);
    sent.end();
  });
}
