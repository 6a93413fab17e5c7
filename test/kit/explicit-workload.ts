import type { TestContext } from 'node:test';
import { registrationOf } from '#model/registration.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { startEnvoy, type TestEnvoy } from './envoy.ts';
import { freePort } from './free-port.ts';
import { type TestMesh, testProxy } from './mesh.ts';
import { callPeer, httpRequest } from './peer-call.ts';
import { StreamXds } from './stream-xds.ts';
import { notTaken } from './taken-config.ts';
import type { TestAuthority } from './test-authority.ts';
import { waitUntil } from './wait-until.ts';

/** A workload to start. */
export interface ExplicitWorkloadOptions {
  readonly namespace: string;
  /** Also the name of its WorkloadGroup, which the mesh must have. */
  readonly name: string;
  /** Ports of the application by name. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly upstreams?: readonly { readonly host: string; readonly port: number }[];
  /** Whose certificate it has; its own service account's when left out. */
  readonly identity?: string;
  /** Who signed its certificate. */
  readonly signer?: TestAuthority;
  /** Roots that Envoy has at its start, PEM: '' = none; the mesh's when left out. */
  readonly roots?: string;
  /** Roots that its agent has as files, by the name of the secret: `file-root:system`. */
  readonly rootFiles?: Readonly<Record<string, string>>;
}

/** A workload in explicit mode: an Envoy beside an application that the test runs. */
export interface ExplicitWorkload {
  readonly proxy: ProxyNode;
  readonly envoy: TestEnvoy;
  /** Where peers connect to for an application port. */
  readonly listenPort: (name: string) => number;
  /** Where the application connects to for a service given in `upstreams`. */
  readonly upstreamPort: (host: string) => number;
  readonly httpProxyPort: number;
  /** Gives Envoy the configuration that the mesh, or another one, has for it now. */
  publish(mesh?: TestMesh): void;
  /** Gives Envoy the roots with a revocation list, PEM. */
  publishCrl(crl: string): void;
  /** Gives Envoy other roots, PEM; with '' it has not heard of any yet. */
  publishRoots(roots: string): void;
  /** Waits until it decides by what was published last. */
  settled(): Promise<void>;
  /** The lines of its access log so far. */
  accessLog(): readonly Readonly<Record<string, unknown>>[];
}

/** Workloads of one mesh, with certificates of one authority. */
export class ExplicitMesh {
  readonly mesh: TestMesh;
  readonly authority: TestAuthority;
  readonly #workloads: ExplicitWorkload[] = [];
  #isSettled = true;

  constructor(mesh: TestMesh, authority: TestAuthority) {
    this.mesh = mesh;
    this.authority = authority;
  }

  /** Gives every Envoy what the mesh has for it now. */
  publish(): void {
    this.#isSettled = false;
    for (const workload of this.#workloads) workload.publish();
  }

  /**
   * Waits until every Envoy decides by what the mesh had for it at the last `publish`. Without that
   * a first denial says little of the next one: policies, listeners and clusters come one by one.
   */
  async settled(): Promise<void> {
    if (this.#isSettled) return;
    await Promise.all(this.#workloads.map((workload) => workload.settled()));
    this.#isSettled = true;
  }

  /** Registers a workload, starts its Envoy and waits until that serves. Everybody learns of it. */
  async start(
    test: Pick<TestContext, 'after'>,
    options: ExplicitWorkloadOptions,
  ): Promise<ExplicitWorkload> {
    const proxy = await explicitProxy(options);
    this.#register(proxy);
    const xds = await StreamXds.start(test);
    const publish = (mesh = this.mesh): void =>
      xds.publish(mesh.generator.snapshotFor(proxy, mesh.model.snapshot()));
    const signer = options.signer ?? this.authority;
    const own = signer.issue({ uris: [options.identity ?? proxy.identity] });
    xds.publishSecrets({ own, roots: options.roots ?? this.authority.root });
    for (const [name, roots] of Object.entries(options.rootFiles ?? {}))
      xds.publishRoots(name, roots);
    publish();
    const args = ['--file-flush-interval-msec', '10', '--drain-strategy', 'immediate'];
    const envoy = await startEnvoy(test, {
      bootstrap: xds.bootstrap,
      args: [...args, '--drain-time-s', '1'],
    });
    // Without roots it waits for them, and serves nobody.
    if (options.roots !== '') await envoy.ready();
    const workload: ExplicitWorkload = {
      proxy,
      envoy,
      listenPort: (name) => portOf(proxy.explicit?.inbound, (port) => port.name === name),
      upstreamPort: (host) => portOf(proxy.explicit?.upstreams, (one) => one.host === host),
      httpProxyPort: proxy.explicit?.httpProxyPort ?? 0,
      publish,
      publishCrl: (crl) => xds.publishRoots('ROOTCA', this.authority.root, crl),
      publishRoots: (roots) => xds.publishRoots('ROOTCA', roots),
      settled: () => taken(envoy, xds, proxy.explicit?.httpProxyPort ?? 0),
      accessLog: () => envoy.process.lines.flatMap(parseLine),
    };
    this.#workloads.push(workload);
    this.publish();
    return workload;
  }

  #register(proxy: ProxyNode): void {
    const group = this.mesh.model
      .snapshot()
      .workloadGroups.get(proxy.namespace, proxy.serviceAccount);
    if (!group) return;
    const { entry, refused } = registrationOf(group, proxy);
    if (refused) throw new Error(refused.message);
    this.mesh.put(entry);
  }
}

/** Waits until an Envoy has taken everything, and its worker has heard of it. */
async function taken(envoy: TestEnvoy, xds: StreamXds, httpProxyPort: number): Promise<void> {
  let left: readonly string[] = [];
  await waitUntil(async () => {
    left = notTaken(await envoy.admin('/config_dump'), xds.published);
    return left.length === 0;
  }, 'the configuration is taken').catch((cause: unknown) => {
    throw new Error(`not taken: ${[...left, ...xds.rejections].join('\n')}`, { cause });
  });
  // What is told to a worker before a connection comes is known to it when it answers that.
  const call = { port: httpProxyPort, data: httpRequest('http://nowhere.invalid/') };
  await callPeer(call, /^HTTP/);
}

async function explicitProxy(options: ExplicitWorkloadOptions): Promise<ProxyNode> {
  const { namespace, name, ports = {}, upstreams = [] } = options;
  const inbound = Object.entries(ports).map(async ([portName, port]) => ({
    name: portName,
    port,
    listen: await freePort(),
  }));
  return testProxy({
    namespace,
    serviceAccount: name,
    workloadName: `${name}-1`,
    addresses: ['127.0.0.1'],
    interception: 'explicit',
    group: name,
    explicit: {
      inboundAddress: '127.0.0.1',
      inbound: await Promise.all(inbound),
      httpProxyPort: await freePort(),
      upstreams: await Promise.all(
        upstreams.map(async (one) => ({ ...one, listen: await freePort() })),
      ),
    },
  });
}

function portOf<T extends { readonly listen: number }>(
  ports: readonly T[] | undefined,
  wanted: (port: T) => boolean,
): number {
  const found = ports?.find(wanted);
  if (!found) throw new Error('the workload has no such port');
  return found.listen;
}

function parseLine(line: string): readonly Readonly<Record<string, unknown>>[] {
  return line.startsWith('{') ? [JSON.parse(line) as Readonly<Record<string, unknown>>] : [];
}
