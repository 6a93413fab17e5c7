// ID-2: the trust domain is changed as the guide says, while requests run, and none fails. Each
// step waits for `bulwark trust-domain status` and for nothing else.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TrustDomainView } from '#admin/contract.ts';
import { bulwark } from '../kit/bulwark.ts';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh, startLoad } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Certificates are renewed after half of it; a start of the server takes less than the rest. */
const TTL = '30s';
const TARGET = 'http://web.shop/';

const policyOf = (domain: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  rules: [{ from: [{ source: { principals: [${domain}/ns/shop/sa/caller] } }] }]
`;
const ACCOUNTS = accountsYaml('shop', 'caller', 'web', 'stranger');
const OBJECTS = yamlOf(ACCOUNTS, serviceYaml('shop', 'web'), strictYaml('shop'));

/** A mesh whose server is started with names, and the command that says who follows them. */
function namedMesh(t: TestContext) {
  const mesh = new RealMesh(t);
  const settings = (trustDomain: string, aliases: string): string[] => [
    ...['--trust-domain', trustDomain, '--trust-domain-aliases', aliases],
    ...['--workload-cert-ttl', TTL],
  ];
  return {
    mesh,
    start: (trustDomain: string, aliases: string) =>
      mesh.startServer(...settings(trustDomain, aliases)),
    /** What a start on the same data says that is refused. */
    refused: async (trustDomain: string, aliases: string): Promise<string> => {
      await mesh.stopServer();
      const ports = ['--secure-port', '0', '--monitoring-port', '0'];
      const names = settings(trustDomain, aliases);
      const server = bulwark(['server', '--data', mesh.data, ...ports, ...names]);
      t.after(() => server.stop());
      await server.ended;
      assert.equal(server.exit?.code, 1);
      return server.lines.join('\n');
    },
    /** Waits until nobody is missing. */
    status: async (): Promise<TrustDomainView> => {
      const flags = ['--wait', '60s', '-o', 'json', '--kubeconfig', mesh.kubeconfig];
      const command = bulwark(['trust-domain', 'status', ...flags]);
      t.after(() => command.stop());
      await command.ended;
      const text = command.lines.join('\n');
      assert.equal(command.exit?.code, 0, text);
      return JSON.parse(text) as TrustDomainView;
    },
  };
}

/** Three workloads of one agent, and clients of two of them. */
async function startWorkloads(t: TestContext, mesh: RealMesh) {
  const port = await startEchoApp(t, 'web');
  const status = await mesh.startAgent('agent', {
    trustDomain: 'old.test',
    trustDomainAliases: ['new.test'],
    secretTtl: TTL,
    workloads: [
      workloadOf('caller'),
      workloadOf('stranger'),
      workloadOf('web', { group: 'web', app: { ports: [{ name: 'http', port }] } }),
    ],
  });
  const proxyOf = async (name: string): Promise<number> => (await status(name)).ports.httpProxyPort;
  const client = async (name: string): Promise<KeepAliveClient> => {
    const opened = new KeepAliveClient({ port: await proxyOf(name) });
    t.after(() => opened.close());
    return opened;
  };
  return {
    caller: await client('caller'),
    stranger: await client('stranger'),
    callerPort: await proxyOf('caller'),
  };
}

test('the trust domain is changed under load, and no request fails', {
  timeout: 240_000,
}, async (t) => {
  const { mesh, start, status } = namedMesh(t);
  await start('old.test', '');
  await mesh.apply(yamlOf(OBJECTS, policyOf('old.test')));
  const { caller, stranger, callerPort } = await startWorkloads(t, mesh);
  const isAnswered = async () => (await caller.ask({ target: TARGET })).status === 200;
  await waitUntil(isAnswered, 'the first answer');
  const load = startLoad(t, { port: callerPort, target: TARGET });
  /** Whom the application is told that its caller is. */
  const seenAs = async (): Promise<string> => {
    const { body } = await caller.ask({ target: TARGET });
    const { headers } = JSON.parse(body) as SeenRequest;
    return String(headers['x-forwarded-client-cert']);
  };
  /** Everybody follows, is who it should be on every connection, and strangers stay out. */
  const follow = async (domain: string, naming: number): Promise<void> => {
    const { trustDomain, workloads, missing, objects: named } = await status();
    assert.deepEqual([trustDomain, workloads, missing, named.length], [domain, 3, [], naming]);
    assert.match(await seenAs(), new RegExp(`URI=spiffe://${domain}/ns/shop/sa/caller`));
    assert.equal((await stranger.ask({ target: TARGET })).status, 403);
  };

  await follow('old.test', 0);
  // 1: everybody learns to take both names.
  await start('old.test', 'new.test');
  await follow('old.test', 0);
  // 2: certificates and connections are of the new name; policies still say the old one.
  await start('new.test', 'old.test');
  await follow('new.test', 1);
  // 3: policies say the new name; nobody needs the old one any more.
  await mesh.apply(policyOf('new.test'));
  await follow('new.test', 0);
  await start('new.test', '');
  await follow('new.test', 0);

  const { failures } = await load.stop(300);
  assert.deepEqual(failures, []);
});

test('a start that would cut workloads off is refused', { timeout: 240_000 }, async (t) => {
  const { mesh, start, refused, status } = namedMesh(t);
  await start('old.test', '');
  await mesh.apply(ACCOUNTS);
  await startWorkloads(t, mesh);
  assert.equal((await status()).workloads, 3);
  assert.match(await refused('new.test', 'old.test'), /were not told yet/);
  assert.match(await refused('other.test', ''), /still have certificates of/);
  await start('old.test', 'new.test');
  assert.deepEqual((await status()).missing, []);
});
