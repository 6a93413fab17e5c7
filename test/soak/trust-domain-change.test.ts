// ID-2: the trust domain is changed while requests run, and none fails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_PATHS, type ProxiesView } from '#admin/contract.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { RealMesh, startLoad, waitForRenewals } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 30_000;

const objects = (domain: string) => `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: web, namespace: shop }
spec:
  metadata: { labels: { app: web } }
  template: { serviceAccount: web, ports: { http: 8080 } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  rules: [{ from: [{ source: { principals: [${domain}/ns/shop/sa/caller] } }] }]
`;
const ACCOUNTS = ['caller', 'web', 'stranger']
  .map(
    (name) => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name}, namespace: shop }`,
  )
  .join('\n---\n');
const NAMESPACE = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }';

test('the trust domain is changed under load, and no request fails', {
  timeout: 180_000,
}, async (t) => {
  const mesh = new RealMesh(t);
  const server = (trustDomain: string, aliases: string): Promise<void> =>
    mesh.startServer(
      ...['--trust-domain', trustDomain, '--trust-domain-aliases', aliases],
      ...['--workload-cert-ttl', '6s'],
    );
  await server('old.test', '');
  await mesh.apply([NAMESPACE, ACCOUNTS, objects('old.test')].join('\n---\n'));

  const port = await startEchoApp(t, 'web');
  const workload = (serviceAccount: string, more: object = {}) => ({
    ...{ namespace: 'shop', serviceAccount, name: serviceAccount, mode: 'explicit' },
    ...more,
  });
  const status = await mesh.startAgent('agent', {
    trustDomain: 'old.test',
    trustDomainAliases: ['new.test'],
    secretTtl: '6s',
    workloads: [
      workload('caller'),
      workload('stranger'),
      workload('web', { group: 'web', app: { ports: [{ name: 'http', port }] } }),
    ],
  });
  const target = 'http://web.shop/';
  const proxyOf = async (name: string): Promise<number> => (await status(name)).ports.httpProxyPort;
  const stranger = new KeepAliveClient({ port: await proxyOf('stranger') });
  t.after(() => stranger.close());
  const caller = new KeepAliveClient({ port: await proxyOf('caller') });
  t.after(() => caller.close());
  await waitUntil(async () => (await caller.ask({ target })).status === 200, 'the first answer');
  const load = startLoad(t, { port: await proxyOf('caller'), target });

  const everybody = ['caller', 'stranger', 'web'] as const;
  /** Every certificate made and given out anew, and so the roots that come with it. */
  const renewed = (domain: string): Promise<unknown> =>
    Promise.all(
      everybody.map(async (name) => {
        const { identity } = await waitForRenewals(() => status(name), 2, WITHIN_MS);
        assert.equal(identity, `spiffe://${domain}/ns/shop/sa/${name}`);
      }),
    );
  /** As `bulwark proxy-status` shows it: every proxy is back and took what the server now says. */
  const synced = (): Promise<unknown> =>
    waitUntil(
      async () => {
        const { body } = await mesh.api.send({ method: 'GET', path: ADMIN_PATHS.proxies });
        const { proxies } = body as ProxiesView;
        const took = proxies.filter(({ types }) =>
          ['CDS', 'LDS'].every((name) =>
            types.some(({ type, state }) => type.toUpperCase() === name && state === 'SYNCED'),
          ),
        );
        if (took.length !== everybody.length) throw new Error(JSON.stringify(proxies));
        return true;
      },
      'every proxy took its configuration',
      { withinMs: WITHIN_MS, everyMs: 100 },
    );
  const refusesStrangers = async (): Promise<void> =>
    assert.equal((await stranger.ask({ target })).status, 403);

  await renewed('old.test');
  await refusesStrangers();
  // 1: everybody learns to take both names.
  await server('old.test', 'new.test');
  await synced();
  await renewed('old.test');
  await refusesStrangers();
  // 2: certificates are of the new name from now on; policies still say the old one.
  await server('new.test', 'old.test');
  await synced();
  await renewed('new.test');
  await refusesStrangers();
  // 3: policies say the new name; nobody needs the old one any more.
  await mesh.apply(objects('new.test'));
  await server('new.test', '');
  await synced();
  await renewed('new.test');
  await refusesStrangers();

  const { answers, failures } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(answers > 500, `${answers} answers`);
});
