import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import type { XdsResource, XdsSnapshot } from '#xds/resource.ts';
import { AdsServer, type AdsServerDeps } from '#xds/serve/ads-server.ts';
import type { DiscoveryName } from '#xds/serve/resource-types.ts';
import { nodeMessage } from './ads-harness.ts';
import { startEnvoy, type TestEnvoy } from './envoy.ts';
import { adsBootstrap, snapshotOf } from './envoy-resources.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import { temporaryDirectory } from './temp-directory.ts';
import { waitUntil } from './wait-until.ts';

/** A server on a unix socket whose snapshot the test sets. */
export async function serveAds(
  t: TestContext,
  path: string,
  first: readonly XdsResource[],
  deps: Partial<AdsServerDeps> = {},
) {
  let snapshot: XdsSnapshot = snapshotOf(first);
  let version = 1;
  const metrics = new Metrics();
  const ads = new AdsServer({
    log: silentLogger,
    clock: systemClock,
    metrics,
    source: {
      snapshotFor: () => snapshot,
      get version() {
        return version;
      },
    },
    authenticate: async () => ({
      identity: parseSpiffeId('spiffe://cluster.local/ns/ns/sa/sa'),
      namespace: 'ns',
      serviceAccount: 'sa',
    }),
    ...deps,
  });
  const grpc = new GrpcServer(
    { name: 'xds', listen: { path }, services: [ads.service], closeTimeoutMs: 500 },
    { log: silentLogger, clock: systemClock },
  );
  const close = async (): Promise<void> => {
    ads.close();
    await grpc.close();
  };
  t.after(close);
  await grpc.start();
  const publish = (resources: readonly XdsResource[]): void => {
    snapshot = snapshotOf(resources);
    version += 1;
    ads.configChanged();
  };
  const status = (type: DiscoveryName) => ads.proxies()[0]?.types[type];
  const synced = (...types: DiscoveryName[]) =>
    waitUntil(() => types.every((type) => status(type)?.synced), `${types} synced`);
  const progress = (type: DiscoveryName) => ads.progress()[0]?.types[type];
  return { ads, metrics, publish, status, progress, synced, close };
}

/** Where a test's server listens. */
export function socketPath(t: TestContext): string {
  return join(temporaryDirectory(t), 'ads.sock');
}

/** An Envoy that gets its configuration from the server at `path`. */
export function envoyAt(t: TestContext, path: string): Promise<TestEnvoy> {
  const { id, metadata } = nodeMessage();
  return startEnvoy(t, { bootstrap: adsBootstrap({ node: { id, metadata }, at: { path } }) });
}

/** The port on which Envoy listens for a listener with port 0. */
export async function portOf(envoy: TestEnvoy, listener: string): Promise<number> {
  return waitUntil(async () => {
    const { listener_statuses: all = [] } = JSON.parse(await envoy.admin('/listeners?format=json'));
    const found = all.find(({ name }: { name: string }) => name === listener);
    return found?.local_address.socket_address.port_value as number | undefined;
  }, `Envoy listens for ${listener}`);
}

/** A client of one of Envoy's listeners. */
export async function clientOf(t: TestContext, envoy: TestEnvoy, listener: string) {
  const client = new KeepAliveClient({ port: await portOf(envoy, listener) });
  t.after(() => client.close());
  return client;
}
