import type { TestContext } from 'node:test';
import { ADMIN_PATHS, type JwksView } from '#admin/contract.ts';
import { startEchoApp } from './echo-app.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import type { KeyServer } from './key-server.ts';
import { applicationYaml, workloadOf } from './mesh-objects.ts';
import { RealMesh } from './real-mesh.ts';
import { waitUntil } from './wait-until.ts';

/** A setting of the server, so that issuers of tests may be asked for their keys. */
export const LOOPBACK = ['--jwks-allowed-addresses', '127.0.0.0/8'] as const;

/** The header that carries a token. */
export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

/** Shows keys as an issuer does that can be asked where they are. */
export function showKeys(server: KeyServer, keySet: string): void {
  const document = { issuer: server.url, jwks_uri: `${server.url}/keys` };
  server.serve('/.well-known/openid-configuration', JSON.stringify(document));
  server.serve('/keys', keySet);
}

/** A control plane, and one workload that takes plaintext: `app: web` in the namespace `shop`. */
export async function startTokenMesh(t: TestContext, ...settings: readonly string[]) {
  const mesh = new RealMesh(t);
  await mesh.startServer(...LOOPBACK, ...settings);
  await mesh.apply(applicationYaml('shop', 'web'));
  const ports = [{ name: 'http', port: await startEchoApp(t, 'web') }];
  const status = await mesh.startAgent('web', {
    workloads: [workloadOf('web', { group: 'web', app: { ports } })],
  });
  const port = (await status('web')).ports.inbound[0]?.listen ?? 0;
  const client = new KeepAliveClient({ port });
  t.after(() => client.close());
  const ask = (token?: string) =>
    client.ask({ target: '/', ...(token === undefined ? {} : { headers: bearer(token) }) });
  const until = (status: number, token: string) =>
    waitUntil(async () => (await ask(token)).status === status, `${status} for a token`);
  const keys = async () =>
    (await mesh.api.expect({ method: 'GET', path: ADMIN_PATHS.jwks })) as JwksView;
  return { mesh, port, ask, until, keys };
}
