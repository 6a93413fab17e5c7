// Servers that speak first: who may not call hears no greeting, and the server sees nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRefusal } from '#agent/denials/refusal.ts';
import { startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, openPeer } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const GREETING = '220 ready';

const policy = (name: string, spec: string) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`);

const principal = (account: string) =>
  `{ from: [{ source: { principals: [cluster.local/ns/web/sa/${account}] } }] }`;

test('a server that speaks first', { timeout: 240_000 }, async (t) => {
  const app = await startTcpApp(t, GREETING);
  const objects = serviceObjects('shop', 'db', [{ name: 'mysql', port: 3306 }]);
  const mesh = new ExplicitMesh(
    testMesh([...objects, groupObject('web', 'friend')]),
    testAuthority(),
  );
  const db = await mesh.start(t, { namespace: 'shop', name: 'db', ports: { mysql: app.port } });
  const friend = await mesh.start(t, {
    namespace: 'web',
    name: 'friend',
    upstreams: [{ host: 'db.shop', port: 3306 }],
  });
  const call = (account: string | undefined) => {
    const identity = `spiffe://cluster.local/ns/web/sa/${account}`;
    return {
      port: db.listenPort('mysql'),
      ...(account && { certificate: mesh.authority.issue({ uris: [identity] }) }),
      alpn: ['istio'],
      data: '',
    };
  };
  const hears = async (account: string | undefined): Promise<string> =>
    (await callPeer(call(account), /ready/)).text;
  const apply = async (...policies: ReturnType<typeof policy>): Promise<void> => {
    mesh.mesh.remove(...mesh.mesh.model.snapshot().authorizationPolicies.all());
    mesh.mesh.put(...policies);
    mesh.publish();
    await mesh.settled();
  };
  /** Nobody hears anything, and the server does not see a connection. */
  const isUnheard = async (account: string | undefined): Promise<void> => {
    const before = app.connections();
    assert.equal(await hears(account), '');
    assert.equal(app.connections(), before, 'the server saw nobody');
  };
  const becomes = (account: string | undefined, heard: string) =>
    waitUntil(async () => (await hears(account)) === heard, `${account} hears "${heard}"`);

  await t.test('greets everybody without a policy', async () => {
    for (const account of ['friend', 'stranger', undefined])
      assert.equal(await hears(account), GREETING);
  });

  await t.test('greets those whom a policy allows, over their proxy too', async () => {
    await apply(...policy('p', `{ rules: [${principal('friend')}] }`));
    await becomes('stranger', '');
    await becomes('friend', GREETING);
    const { text } = await callPeer({ port: friend.upstreamPort('db.shop'), data: '' }, /ready/);
    assert.equal(text, GREETING);
  });

  await t.test('and nobody else, at once after one who is allowed', async () => {
    for (let round = 0; round < 3; round += 1) {
      await isUnheard('stranger');
      assert.equal(await hears('friend'), GREETING);
      await isUnheard(undefined);
    }
  });

  await t.test('and the denial is written down like any other', async () => {
    const denials = () =>
      db.accessLog().flatMap((line) => parseRefusal(JSON.stringify(line)) ?? []);
    const denial = await waitUntil(
      () => denials().find(({ peer }) => peer?.endsWith('/stranger')),
      'the denial is logged',
    );
    assert.deepEqual([denial.kind, denial.policy, denial.port], ['policy', undefined, app.port]);
  });

  await t.test('whose policy changes gives up connections that are open', async () => {
    const open = openPeer(call('friend'));
    t.after(() => open.destroy());
    // It may also end with a reset.
    open.on('error', () => open.destroy());
    await new Promise((resolve) => open.once('data', resolve));
    const ended = new Promise((resolve) => open.once('close', resolve));
    await apply(...policy('p', `{ action: DENY, rules: [${principal('friend')}] }`));
    await ended;
    await becomes('friend', '');
    await isUnheard('friend');
    assert.equal(await hears('stranger'), GREETING);
    const denials = () => db.accessLog().map((line) => parseRefusal(JSON.stringify(line))?.policy);
    await waitUntil(() => denials().includes('ns[shop]-policy[p]-rule[0]'), 'the rule is named');
  });

  await t.test('does not greet who has the name of another beside one that may call', async () => {
    const uris = ['stranger', 'friend'].map((name) => `spiffe://cluster.local/ns/web/sa/${name}`);
    const before = app.connections();
    for (const names of [uris, uris.toReversed()]) {
      const certificate = mesh.authority.issue({ uris: names });
      assert.equal((await callPeer({ ...call('stranger'), certificate }, /ready/)).text, '');
    }
    assert.equal(app.connections(), before, 'the server saw nobody');
    assert.equal(await hears('stranger'), GREETING);
    const denials = () => db.accessLog().map((line) => parseRefusal(JSON.stringify(line))?.policy);
    await waitUntil(() => denials().includes('bulwark-several-names'), 'the reason is named');
  });

  await t.test('is judged by namespaces, exclusions and ports, too', async () => {
    const port = `to: [{ operation: { ports: ["${app.port}"] } }]`;
    await apply(
      ...policy('p', `{ rules: [{ from: [{ source: { namespaces: [other] } }], ${port} }] }`),
    );
    await becomes('friend', '');
    await isUnheard('friend');
    const but = 'notPrincipals: [cluster.local/ns/web/sa/stranger]';
    await apply(
      ...policy('p', `{ rules: [{ from: [{ source: { namespaces: [web], ${but} } }] }] }`),
    );
    await becomes('friend', GREETING);
    await isUnheard('stranger');
    await apply(...policy('p', `{ rules: [{ to: [{ operation: { ports: ["1"] } }] }] }`));
    await becomes('friend', '');
    await isUnheard('friend');
  });
});
