import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ensureAdminKubeconfig } from '#apiserver/admin-access.ts';
import { ApiServer, type ApiServerOptions } from '#apiserver/api-server.ts';
import { type ClientAuthority, loadClientAuthority } from '#apiserver/client-authority.ts';
import { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { loadTokenKey } from '#apiserver/token-key.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { type Logger, silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { SqliteStore } from '#store/sqlite-store.ts';
import type { Store } from '#store/store.ts';
import { ApiClient, type ApiClientOptions } from './api-client.ts';
import { type TestAuthority, testAuthority } from './test-authority.ts';

/** An API server that runs, with the administrator's kubeconfig. */
export interface TestApiServer {
  readonly directory: string;
  readonly server: ApiServer;
  readonly store: Store;
  readonly tokens: ServiceAccountTokens;
  readonly clients: ClientAuthority;
  readonly metrics: Metrics;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  /** `https://127.0.0.1:1234`. */
  readonly url: string;
  /** The authority that signed its serving certificate. */
  readonly authority: TestAuthority;
  /** A client with a certificate of the group system:masters. */
  readonly admin: ApiClient;
  /** A client with a token, or with nothing. */
  client(options?: Pick<ApiClientOptions, 'token' | 'credentials'>): ApiClient;
  close(): Promise<void>;
}

export interface TestApiServerOptions {
  /** Where its data are; a server started again there has the same data. */
  readonly directory: string;
  readonly port?: number;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly authority?: TestAuthority;
  readonly server?: Partial<ApiServerOptions>;
}

const ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** Starts an API server on loopback over a SQLite store; the test closes it, also when it fails. */
export async function startApiServer(
  test: Pick<TestContext, 'after'>,
  options: TestApiServerOptions,
): Promise<TestApiServer> {
  const { directory, port = 0, clock = systemClock, log = silentLogger } = options;
  const authority = options.authority ?? testAuthority();
  const deps = { clock, random: systemRandom, log };
  const store = new SqliteStore({ path: join(directory, 'store.db') }, deps);
  await store.start();
  const key = await loadTokenKey(join(directory, 'tokens.key'));
  const tokens = new ServiceAccountTokens({ issuer: ISSUER }, { ...deps, store, key });
  const clients = await loadClientAuthority(directory, deps);
  const { certificate, privateKey } = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const metrics = new Metrics();
  const server = new ApiServer(
    {
      host: '127.0.0.1',
      port,
      tls: { key: privateKey, cert: certificate, clientCa: clients.certificate },
      initialNamespaces: ['istio-system'],
      ...options.server,
    },
    { ...deps, metrics, store, tokens },
  );
  const close = async (): Promise<void> => {
    await server.close();
    await store.close();
  };
  test.after(close);
  await server.start();
  const url = `https://127.0.0.1:${server.address.port}`;
  const kubeconfig = join(directory, 'admin.kubeconfig');
  const access = { path: kubeconfig, server: url, serverCa: authority.root };
  await ensureAdminKubeconfig(access, clients);
  const client = (credentials: Pick<ApiClientOptions, 'token' | 'credentials'> = {}): ApiClient =>
    new ApiClient(test, { url, ca: authority.root, ...credentials });
  const subject = { user: 'test-admin', groups: ['system:masters'], validDays: 1 };
  const admin = client({ credentials: clients.issue(subject) });
  const parts = { directory, server, store, tokens, clients, metrics, kubeconfig, url, authority };
  return { ...parts, admin, client, close };
}
