import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { AgentStatus, WorkloadStatus } from '#agent/status.ts';
import type { ApiObject } from '#api/object.ts';
import { systemClock } from '#base/clock.ts';
import { applyObject, pathsOf } from '#cli/apply-object.ts';
import { type AppliedObject, awaitEnforced } from '#cli/enforcement/await-enforced.ts';
import type { ServerAddresses } from '#controlplane/addresses.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { bulwark, type CommandResult, runBulwark } from './bulwark.ts';
import type { ManagedProcess } from './child-process.ts';
import { serverPorts } from './free-port.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import { objectsOf } from './objects.ts';
import { SecondOpinion } from './second-opinion.ts';
import { temporaryDirectory } from './temp-directory.ts';
import { waitUntil } from './wait-until.ts';

const START_MS_MAX = 90_000;

/**
 * A control plane and agents, each a process of its own, as users run them; ends with the test.
 * Everything that the control plane signs is verified by others then, unless it is measured: that
 * takes work in its process.
 */
export class RealMesh {
  readonly directory: string;
  readonly #test: Pick<TestContext, 'after'>;
  readonly #opinion: SecondOpinion | undefined;
  #server: ManagedProcess | undefined;
  #client: KubeClient | undefined;
  readonly #agents = new Map<string, ManagedProcess>();
  #ports: Promise<readonly string[]> | undefined;

  constructor(test: Pick<TestContext, 'after'>, { isMeasured = false } = {}) {
    this.#test = test;
    this.directory = temporaryDirectory(test);
    this.#opinion = isMeasured ? undefined : new SecondOpinion();
    test.after(async () => {
      this.#client?.close();
      await this.#server?.stop();
      await this.#opinion?.verify().finally(() => this.#opinion?.close());
    });
  }

  get kubeconfig(): string {
    return join(this.data, 'admin.kubeconfig');
  }

  get data(): string {
    return join(this.directory, 'data');
  }

  /** The API as its administrator. */
  get api(): KubeClient {
    if (!this.#client) throw new Error('the server was not started');
    return this.#client;
  }

  /** Starts the server, after ending the one before; always on the same data. */
  async startServer(...args: readonly string[]): Promise<void> {
    await this.#server?.stop();
    this.#ports ??= serverPorts();
    const all = ['--data', this.data, ...(await this.#ports), ...args];
    this.#server = bulwark(['server', ...all], this.#opinion?.env);
    await this.#server.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
    this.#client?.close();
    this.#client = new KubeClient(await readKubeconfig(this.kubeconfig));
  }

  /** Ends the server as an operator would. */
  async stopServer(): Promise<void> {
    await this.#server?.stop();
  }

  /** Ends the server as a crash would. */
  async killServer(): Promise<void> {
    await this.#server?.kill();
  }

  /** The process of the server. */
  get serverPid(): number {
    return this.#server?.pid ?? -1;
  }

  /** Where the server listens. */
  get addresses(): ServerAddresses {
    return JSON.parse(readFileSync(join(this.data, 'addresses.json'), 'utf8')) as ServerAddresses;
  }

  /** A metric of the server, by its name with labels; NaN when it is not there. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.addresses.monitoring}/metrics`)).text();
    const line = text.split('\n').find((one) => one.startsWith(`${name} `));
    return Number(line?.slice(name.length));
  }

  /** Runs a command as its administrator, which must succeed; gives what it printed. */
  async command(...words: readonly string[]): Promise<string> {
    const command = bulwark([...words, '--kubeconfig', this.kubeconfig]);
    this.#test.after(() => command.kill());
    await command.ended;
    assert.equal(command.exit?.code, 0, command.tail());
    return command.lines.join('\n');
  }

  /** The same of one that may fail: gives how it ended. */
  tryCommand(...words: readonly string[]): Promise<CommandResult> {
    return runBulwark([...words, '--kubeconfig', this.kubeconfig]);
  }

  /** A token of an account, for the authority; bound to a pod when one is named. */
  async requestToken(namespace: string, account: string, pod?: string): Promise<string> {
    const boundObjectRef = pod && { kind: 'Pod', apiVersion: 'v1', name: pod };
    const answer = await this.api.expect({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      body: { spec: { audiences: ['istio-ca'], ...(boundObjectRef && { boundObjectRef }) } },
    });
    return (answer as { readonly status: { readonly token: string } }).status.token;
  }

  /** The process of an agent that was started. */
  async agentPid(name: string): Promise<number> {
    return (await this.agentStatus(name)).pid;
  }

  /** What an agent that was started says of itself. */
  async agentStatus(name: string): Promise<AgentStatus> {
    return JSON.parse(await askAgent(this.#statusSocket(name), '/status')) as AgentStatus;
  }

  /** The metrics of an agent that was started, as Prometheus reads them. */
  agentMetrics(name: string): Promise<string> {
    return askAgent(this.#statusSocket(name), '/metrics');
  }

  #statusSocket(name: string): string {
    return join(this.directory, name, 'status.sock');
  }

  async apply(yaml: string): Promise<void> {
    for (const object of objectsOf(yaml)) {
      await applyObject(this.api, object, pathsOf(object, 'default'));
    }
  }

  /** The same for policies; waits until every proxy that they are for enforces them. */
  async enforce(yaml: string): Promise<void> {
    const applied: AppliedObject[] = [];
    for (const one of objectsOf(yaml)) {
      const paths = pathsOf(one, 'default');
      const { object } = await applyObject(this.api, one, paths);
      applied.push({ paths, object, changedMs: undefined });
    }
    const left = await awaitEnforced(this.api, applied, {
      timeoutMs: START_MS_MAX,
      signal: new AbortController().signal,
      clock: systemClock,
      report: () => {},
    });
    assert.deepEqual(
      left.map(({ standing }) => standing.message),
      [],
    );
  }

  /** An object by its path; undefined when it is not there. */
  async get<T extends ApiObject>(path: string): Promise<T | undefined> {
    const { status, body } = await this.api.send({ method: 'GET', path });
    return status === 200 ? (body as T) : undefined;
  }

  /** Starts an agent and waits until its workloads are ready. */
  async runAgent(name: string, config: object): Promise<void> {
    const runDirectory = join(this.directory, name);
    const path = join(this.directory, `${name}.json`);
    const common = {
      discoveryAddress: this.addresses.discovery,
      caRoot: join(this.data, 'root-cert.pem'),
      kubeconfig: this.kubeconfig,
      runDirectory,
      envoyConcurrency: 1,
    };
    writeFileSync(path, JSON.stringify({ ...common, ...config }));
    const agent = bulwark(['agent', '--config', path]);
    this.#test.after(() => agent.stop());
    this.#agents.set(name, agent);
    await agent.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
  }

  /** What an agent wrote last. */
  agentLines(name: string): readonly string[] {
    return this.#agents.get(name)?.lines ?? [];
  }

  /** The same for workloads with an Envoy; gives what asks for their status. */
  async startAgent(name: string, config: object): Promise<(workload: string) => Promise<Workload>> {
    await this.runAgent(name, config);
    return async (workload) => {
      const status = await this.agentStatus(name);
      const found = status.workloads.find((one) => one.name === workload);
      const { ports, certificate, envoy } = found ?? {};
      if (!found || !ports || !certificate || !envoy) throw new Error(`${name} has no ${workload}`);
      return { ...found, ports, certificate, envoy };
    };
  }
}

/** A workload that is ready. */
export type Workload = WorkloadStatus &
  Required<{ [K in 'ports' | 'certificate' | 'envoy']: NonNullable<WorkloadStatus[K]> }>;

function askAgent(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve(Buffer.concat(chunks).toString());
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** What came of a load. */
export interface LoadResult {
  readonly answers: number;
  /** Those other than 200, and requests without answer. */
  readonly failures: readonly string[];
}

const PAUSE_MS = 10;

/**
 * Asks for `target` again and again, on one connection, until it is stopped or the test ends; goes
 * on until there were as many answers as `stop` says.
 */
export function startLoad(
  test: Pick<TestContext, 'after'>,
  options: { readonly port: number; readonly target: string },
): { stop(atLeast?: number): Promise<LoadResult> } {
  const client = new KeepAliveClient({ port: options.port });
  const failures: string[] = [];
  let answers = 0;
  let least = Number.POSITIVE_INFINITY;
  const one = async (): Promise<void> => {
    try {
      const { status, body } = await client.ask({ target: options.target });
      answers += 1;
      if (status !== 200) failures.push(`${status} ${body}`);
    } catch (error) {
      failures.push(String(error));
    }
  };
  const running = (async () => {
    while (answers + failures.length < least) {
      await one();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    client.close();
  })();
  const stop = async (atLeast = 0): Promise<LoadResult> => {
    least = atLeast;
    await running;
    return { answers, failures };
  };
  test.after(() => stop());
  return { stop };
}

/** Waits until the workload has had that many more certificates, new key each. */
export async function waitForRenewals(
  status: () => Promise<Workload>,
  count: number,
  withinMs: number,
): Promise<Workload> {
  const { renewals } = await status();
  return waitUntil(
    async () => {
      const now = await status();
      return now.renewals >= renewals + count ? now : undefined;
    },
    `${count} renewals`,
    { withinMs, everyMs: 100 },
  );
}
