import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject, ObjectKey } from '#api/object.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { resolveSettings } from '#base/settings.ts';
import { Mesh } from '#controlplane/mesh.ts';
import { ModelFeed } from '#controlplane/model-feed.ts';
import { openPolicyStatus } from '#controlplane/open-policy-status.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { AdsServer } from '#xds/serve/ads-server.ts';
import { ConnectionReports, type ProviderAnswers } from '#xds/serve/connection-reports.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { FakeProxy } from '../fakes/fake-proxy.ts';
import { nodeMessage, settle } from './ads-harness.ts';
import { objectsOf } from './objects.ts';
import { waitUntil } from './wait-until.ts';

export const { listener: LDS, extensionConfig: ECDS, cluster: CDS } = TYPE_URL;

type WithStatus = ApiObject & { readonly status?: IstioStatus };

/**
 * A control plane from the store to the streams of proxies and back to the status of policies, on a
 * clock that a test moves. Its proxies are of the namespace `ns`, with the label `app`.
 */
export class EnforcedMesh {
  readonly clock = new FakeClock();
  readonly store: MemoryStore;
  readonly mesh = new Mesh(resolveSettings({ env: {}, flags: {} }));
  readonly server: AdsServer;
  /** What agents tell of connections and providers. */
  readonly connections = new ConnectionReports(this.clock);
  /** Configurations that were made. */
  made = 0;

  constructor() {
    const deps = { clock: this.clock, random: systemRandom, log: silentLogger };
    const version = () => this.mesh.version;
    this.store = new MemoryStore(deps);
    this.server = new AdsServer({
      log: silentLogger,
      clock: this.clock,
      metrics: new Metrics(),
      source: {
        snapshotFor: (node) => {
          this.made += 1;
          return this.mesh.snapshotFor(node);
        },
        get version() {
          return version();
        },
      },
      authenticate: async () => ({
        identity: parseSpiffeId('spiffe://cluster.local/ns/ns/sa/sa'),
        namespace: 'ns',
        serviceAccount: 'sa',
      }),
      onProgress: () => this.#onProgress(),
    });
  }
  #onProgress = (): void => {};

  async start(t: Pick<TestContext, 'after'>): Promise<void> {
    const { store, mesh, server, clock } = this;
    const deps = { store, clock, random: systemRandom, log: silentLogger };
    const feed = new ModelFeed({
      ...deps,
      model: mesh.model,
      onChange: () => server.configChanged(),
    });
    const xds = {
      trust: { connections: this.connections },
      progress: () => server.progress(),
      onProgress: (listener: () => void) => {
        this.#onProgress = listener;
      },
    };
    const status = openPolicyStatus(mesh, xds, deps);
    t.after(async () => {
      await status.close();
      await feed.close();
      await store.close();
    });
    for (const name of ['ns', 'istio-system']) {
      await store.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
    await feed.start();
    await status.start();
  }

  /** A proxy that took what there is for it. */
  async connect(name: string): Promise<FakeProxy> {
    const proxy = new FakeProxy(this.server.service, { node: nodeMessage(name) });
    proxy.subscribe(CDS);
    await settle();
    proxy.subscribe(LDS);
    const node = this.server.nodes().find(({ workloadName }) => workloadName === name);
    const configs = node && this.mesh.snapshotFor(node).get(ECDS);
    proxy.subscribe(ECDS, [...(configs?.keys() ?? [])]);
    proxy.ackAll();
    await settle();
    return proxy;
  }

  /** Creates objects, or puts them in place of those of the same name. */
  async put(yaml: string): Promise<void> {
    for (const object of objectsOf(yaml)) {
      await this.store.create(object).catch(() => this.store.update(object));
    }
    await settle();
  }

  /** The agent of a proxy tells how a provider answered. */
  tell(workload: string, provider: string, state: ProviderAnswers['state']): void {
    const node = this.server.nodes().find(({ workloadName }) => workloadName === workload);
    assert.ok(node);
    const certificate = { serial: '1', authorityKeyId: undefined, notAfterAt: 0 };
    const providers = [{ name: provider, state }];
    const report = JSON.stringify({ sinceMs: 0, ports: [], providers });
    assert.equal(this.connections.take({ ...node, certificate }, workload, report), undefined);
  }

  /** A condition of an object, as it is now. */
  async condition(key: ObjectKey, type: string) {
    const object = (await this.store.get(key)) as WithStatus | undefined;
    return object?.status?.conditions?.find((one) => one.type === type);
  }

  /** Lets time pass until a condition of an object says something. */
  async says(key: ObjectKey, type: string, words: RegExp): Promise<void> {
    const look = async (): Promise<true> => {
      this.clock.advance(600);
      await settle();
      const { status, reason, message } = (await this.condition(key, type)) ?? {};
      assert.match(`${status} ${reason}: ${message}`, words);
      return true;
    };
    await waitUntil(look, `what ${type} of ${key.name} says`, { withinMs: 60_000 });
  }
}
