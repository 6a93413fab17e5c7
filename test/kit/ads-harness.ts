import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { TYPE_URL, type TypeUrl, type XdsResource, type XdsSnapshot } from '#xds/resource.ts';
import { AdsServer, type AdsServerDeps } from '#xds/serve/ads-server.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { FakeProxy, type FakeProxyOptions } from '../fakes/fake-proxy.ts';

/**
 * What proxies may have, by type: `a1 b2` is a resource a of version 1 and a resource b of version
 * 2.
 */
export type Mesh = Readonly<Partial<Record<keyof typeof TYPE_URL, string>>>;

/** The node message of a workload `name` in the namespace `ns`, service account `sa`. */
export function nodeMessage(name = 'app', overrides: JsonObject = {}) {
  const metadata = { NAME: name, NAMESPACE: 'ns', SERVICE_ACCOUNT: 'sa', LABELS: { app: name } };
  return {
    id: `sidecar~10.0.0.1~${name}.ns~ns.svc.cluster.local`,
    metadata: { ...metadata, ...overrides } as JsonObject,
  };
}

/** Lets everything that is due in promises happen. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** An AdsServer on a clock that stands still, with a mesh that tests write down. */
export function adsHarness(overrides: Partial<AdsServerDeps> = {}) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const meshes = new MeshTexts();
  let failure: Error | undefined;
  const server = new AdsServer({
    log: silentLogger,
    clock,
    metrics,
    source: {
      snapshotFor: (node: ProxyNode) => {
        if (failure) throw failure;
        return meshes.snapshotFor(node);
      },
      get version() {
        return meshes.version;
      },
    },
    authenticate: async () => ({
      identity: parseSpiffeId('spiffe://cluster.local/ns/ns/sa/sa'),
      namespace: 'ns',
      serviceAccount: 'sa',
    }),
    ...overrides,
  });
  return {
    server,
    clock,
    metrics,
    /** What every proxy may have from now on; nobody is told. */
    set: (mesh: Mesh) => meshes.set(mesh),
    /** Of the source; grows by one with each `set` and `change`. */
    version: () => meshes.version,
    /** The same, and the server is told. */
    change: async (mesh: Mesh) => {
      meshes.set(mesh);
      server.configChanged();
      await settle();
    },
    failWith: (error: Error | undefined) => {
      failure = error;
    },
    /** A proxy that was let in: its first request, for a type that nobody serves, was taken. */
    connect: async (options: FakeProxyOptions = {}) => {
      const proxy = new FakeProxy(server.service, { node: nodeMessage(), ...options });
      proxy.subscribe('type.googleapis.com/none');
      await settle();
      return proxy;
    },
  };
}

/** Snapshots from texts; what has the same text is the same object. */
class MeshTexts {
  readonly #resources = new Map<string, XdsResource>();
  readonly #maps = new Map<string, ReadonlyMap<string, XdsResource>>();
  #snapshot: XdsSnapshot = new Map();
  version = 0;

  set(mesh: Mesh): void {
    this.version += 1;
    const entries = Object.entries(mesh) as [keyof typeof TYPE_URL, string][];
    this.#snapshot = new Map(
      entries.map(([type, text]) => [TYPE_URL[type], this.#map(type, text)]),
    );
  }

  snapshotFor(_node: ProxyNode): XdsSnapshot {
    return this.#snapshot;
  }

  #map(type: keyof typeof TYPE_URL, text: string): ReadonlyMap<string, XdsResource> {
    const key = `${type} ${text}`;
    const known = this.#maps.get(key);
    if (known) return known;
    const words = text.split(' ').filter(Boolean);
    const map = new Map(words.map((word) => [word.slice(0, 1), this.#resource(type, word)]));
    this.#maps.set(key, map);
    return map;
  }

  #resource(type: keyof typeof TYPE_URL, word: string): XdsResource {
    const key = `${type} ${word}`;
    const resource = this.#resources.get(key) ?? resourceOf(TYPE_URL[type], word);
    this.#resources.set(key, resource);
    return resource;
  }
}

/** Clusters take the endpoints of their name. */
function resourceOf(typeUrl: TypeUrl, word: string): XdsResource {
  const [name, version] = [word.slice(0, 1), word.slice(1)];
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
  });
  const value = typeUrl === TYPE_URL.cluster ? toBinary(ClusterSchema, cluster) : new Uint8Array();
  const resource = create(AnySchema, { typeUrl, value });
  const encoded = toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource }));
  return { typeUrl, name, version, encoded };
}
