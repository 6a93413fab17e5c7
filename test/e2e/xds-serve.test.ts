import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeClock } from '../fakes/fake-clock.ts';
import { clientOf, envoyAt, portOf, serveAds, socketPath } from '../kit/ads-envoy.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import {
  edsCluster,
  endpoints,
  httpListener,
  lateRejectedCluster,
  policy,
  routeTo,
  staticCluster,
  wrongPolicy,
} from '../kit/envoy-resources.ts';
import { waitUntil } from '../kit/wait-until.ts';

// Proves that the real Envoy and our xDS server understand each other, in good days and bad.

test('everything that Envoy asks for arrives, and it works', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const server = await serveAds(t, path, [
    edsCluster('app'),
    endpoints('app', app),
    httpListener({ name: 'in', route: 'r', policies: ['p'] }),
    routeTo('r', 'app'),
    policy('p', 'allow'),
  ]);
  const envoy = await envoyAt(t, path);
  await envoy.ready();
  await server.synced('cds', 'eds', 'lds', 'rds', 'ecds');
  const client = await clientOf(t, envoy, 'in');
  assert.equal((await client.ask({ target: '/' })).status, 200);
  const [proxy] = server.ads.proxies();
  assert.equal(proxy?.workloadName, 'app');
  assert.equal(proxy?.envoyVersion, '1.40.0');
  assert.deepEqual(proxy?.types.cds?.wildcard, true);
  assert.deepEqual(proxy?.types.eds?.subscribedCount, 1);
});

test('a policy change reaches an open connection, and nothing drains', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const base = [
    staticCluster('app', app),
    httpListener({ name: 'in', route: 'r', policies: ['p'] }),
    routeTo('r', 'app'),
  ];
  const server = await serveAds(t, path, [...base, policy('p', 'allow')]);
  const envoy = await envoyAt(t, path);
  const client = await clientOf(t, envoy, 'in');
  const answer = (status: number) =>
    waitUntil(async () => {
      const found = await client.ask({ target: '/' });
      return found.status === status && found;
    }, `an answer ${status}`);
  await answer(200);
  server.publish([...base, policy('p', 'refuse')]);
  const refused = await answer(403);
  assert.equal(refused.reused, true);
  server.publish([...base, policy('p', 'allow')]);
  assert.equal((await answer(200)).reused, true);
  assert.equal(await envoy.stat('listener_manager.listener_in_place_updated'), 0);
  assert.equal(await envoy.stat('listener_manager.lds.update_success'), 1);
});

test('a rejected listener is reported, harms no other, and may come right', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const base = [staticCluster('app', app), routeTo('r', 'app')];
  const good = httpListener({ name: 'good', route: 'r' });
  const server = await serveAds(t, path, [...base, good]);
  const envoy = await envoyAt(t, path);
  const port = await portOf(envoy, 'good');
  const taken = httpListener({ name: 'other', route: 'r', port: app });
  const next = httpListener({ name: 'next', route: 'r' });
  server.publish([...base, good, taken, next]);
  await waitUntil(() => server.status('lds')?.nacked, 'the rejection');
  assert.match(server.status('lds')?.nacked?.message ?? '', /other.*in use/);
  assert.deepEqual(
    server.status('lds')?.rejected.map(({ name }) => name),
    ['other'],
  );
  assert.equal(server.status('lds')?.synced, false);
  const [refusal] = server.progress('lds')?.refused ?? [];
  assert.match(`${refusal?.name} ${refusal?.since} ${refusal?.message}`, /^other 2 .*in use/);
  assert.match(await server.metrics.text(), /pilot_xds_lds_reject 1/);
  await portOf(envoy, 'next');
  assert.equal(await portOf(envoy, 'good'), port);
  server.publish([...base, good, httpListener({ name: 'other', route: 'r' }), next]);
  await server.synced('lds');
  await portOf(envoy, 'other');
  assert.match(await server.metrics.text(), /pilot_xds_lds_reject 0/);
});

test('a policy that Envoy rejects does not keep a good one away', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const listener = (name: string) =>
    httpListener({ name: `in-${name}`, route: 'r', policies: [name] });
  const names = ['a', 'b', 'c', 'd', 'e'];
  const base = [staticCluster('app', app), routeTo('r', 'app'), ...names.map(listener)];
  const server = await serveAds(t, path, [...base, ...names.map((name) => policy(name, 'allow'))]);
  const envoy = await envoyAt(t, path);
  await server.synced('cds', 'lds', 'rds', 'ecds');
  const refusing = names.map((name) => (name === 'c' ? wrongPolicy(name) : policy(name, 'refuse')));
  server.publish([...base, ...refusing]);
  for (const name of names) {
    const client = await clientOf(t, envoy, `in-${name}`);
    const expected = name === 'c' ? 200 : 403;
    await waitUntil(
      async () => (await client.ask({ target: '/' })).status === expected,
      `${name} answers ${expected}`,
    );
  }
  await waitUntil(() => server.status('ecds')?.unansweredCount === 0, 'all answered');
  assert.deepEqual(
    server.status('ecds')?.rejected.map(({ name }) => name),
    ['c'],
  );
  const { version, refused = [] } = server.progress('ecds') ?? {};
  assert.equal(version, 2, 'all but one are in force');
  assert.deepEqual(
    refused.map(({ name, since }) => [name, since]),
    [['c', 2]],
  );
});

test('a changed cluster is taken at once, because its endpoints come with it', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const base = [endpoints('app', app)];
  const server = await serveAds(t, path, [edsCluster('app'), ...base]);
  const envoy = await envoyAt(t, path);
  await server.synced('cds', 'eds');
  server.publish([edsCluster('app', { connect_timeout: '2s' }), ...base]);
  await server.synced('cds', 'eds');
  assert.equal(await envoy.stat('cluster_manager.warming_clusters'), 0);
});

test('an endpoint that does not exist does not hold up its cluster', async (t) => {
  const path = socketPath(t);
  const server = await serveAds(t, path, [edsCluster('nowhere')]);
  const envoy = await envoyAt(t, path);
  await envoy.ready();
  await server.synced('cds', 'eds');
});

test('what is removed goes away, clusters last, and no request fails', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const listener = httpListener({ name: 'in', route: 'r' });
  const extra = httpListener({ name: 'extra', route: 'r' });
  const server = await serveAds(t, path, [
    staticCluster('old', app),
    listener,
    extra,
    routeTo('r', 'old'),
  ]);
  const envoy = await envoyAt(t, path);
  const client = await clientOf(t, envoy, 'in');
  await waitUntil(
    async () => (await client.ask({ target: '/' })).status === 200,
    'the first answer',
  );
  const failed: number[] = [];
  let asking = true;
  const load = (async () => {
    while (asking) {
      const { status } = await client.ask({ target: '/' });
      if (status !== 200) failed.push(status);
    }
  })();
  for (let round = 0; round < 10; round += 1) {
    const cluster = `new${round}`;
    server.publish([edsCluster(cluster), endpoints(cluster, app), listener, routeTo('r', cluster)]);
    await waitUntil(async () => {
      const clusters = await envoy.admin('/clusters');
      return (
        clusters.includes(`${cluster}::127.0.0.1`) &&
        !clusters.includes('old::') &&
        !(round > 0 && clusters.includes(`new${round - 1}::`))
      );
    }, `only ${cluster} is left`);
  }
  asking = false;
  await load;
  assert.deepEqual(failed, []);
  assert.doesNotMatch(await envoy.admin('/listeners'), /extra/);
});

test('after a restart of the server nothing is sent twice, and what ended meanwhile ends', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const kept = [
    edsCluster('app'),
    endpoints('app', app),
    httpListener({ name: 'in', route: 'r', policies: ['p'] }),
    routeTo('r', 'app'),
    policy('p', 'allow'),
  ];
  const first = await serveAds(t, path, [
    ...kept,
    staticCluster('gone', app),
    httpListener({ name: 'gone', route: 'r' }),
  ]);
  const envoy = await envoyAt(t, path);
  await first.synced('cds', 'eds', 'lds', 'rds', 'ecds');
  const client = await clientOf(t, envoy, 'in');
  await first.close();
  assert.equal((await client.ask({ target: '/' })).status, 200);
  const second = await serveAds(t, path, kept);
  await second.synced('cds', 'eds', 'lds', 'rds', 'ecds');
  assert.equal((await client.ask({ target: '/' })).reused, true);
  for (const type of ['eds', 'rds', 'ecds'] as const)
    assert.equal(second.status(type)?.sent, undefined, type);
  assert.doesNotMatch(await envoy.admin('/clusters'), /gone::/);
  assert.doesNotMatch(await envoy.admin('/listeners'), /gone/);
  assert.match(await second.metrics.text(), /pilot_xds_pushes\{type="cds"\} 1/);
});

test('a cluster that Envoy rejects late does not silence it', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const bad = lateRejectedCluster('bad', app);
  const server = await serveAds(t, path, [staticCluster('app', app), bad]);
  await envoyAt(t, path);
  const rejected = () => server.status('cds')?.rejected.map(({ name }) => name);
  await waitUntil(() => rejected()?.length === 1, 'the rejection');
  assert.deepEqual(rejected(), ['bad']);
  // A late one in place of a good one: the good one is put back.
  server.publish([staticCluster('app', app), lateRejectedCluster('more', app)].slice(0, 1));
  await server.synced('cds');
  server.publish([lateRejectedCluster('app', app)]);
  await waitUntil(() => rejected()?.includes('app'), 'the rejection of a change');
  server.publish([lateRejectedCluster('app', app), staticCluster('next', app)]);
  await waitUntil(() => server.status('cds')?.unansweredCount === 0, 'the answer');
});

test('a rejection that Envoy hides comes to light after a silence', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const clock = new FakeClock();
  const base = [staticCluster('app', app)];
  const server = await serveAds(t, path, base, { clock });
  const envoy = await envoyAt(t, path);
  await server.synced('cds');
  const fine = staticCluster('fine', app);
  const has = (name: string) =>
    waitUntil(async () => (await envoy.admin('/clusters')).includes(`${name}::`), name);
  server.publish([...base, lateRejectedCluster('bad', app), fine]);
  await has('fine');
  clock.advance(2000);
  server.publish([...base, lateRejectedCluster('bad', app), fine, staticCluster('next', app)]);
  await has('next');
  assert.equal(server.status('cds')?.unansweredCount, 2);
  clock.advance(20_000);
  await waitUntil(() => server.status('cds')?.rejected.length === 1, 'the rejection');
  assert.deepEqual(
    server.status('cds')?.rejected.map(({ name }) => name),
    ['bad'],
  );
  await waitUntil(() => server.status('cds')?.unansweredCount === 0, 'all answered');
  await has('fine');
  await has('next');
  server.publish([...base, fine]);
  await server.synced('cds');
});

test('an Envoy that a bad cluster silenced gets clusters from the next server', async (t) => {
  const app = await startEchoApp(t, 'app');
  const path = socketPath(t);
  const base = [staticCluster('app', app)];
  const first = await serveAds(t, path, base);
  const envoy = await envoyAt(t, path);
  await first.synced('cds');
  const has = (name: string) =>
    waitUntil(async () => (await envoy.admin('/clusters')).includes(`${name}::`), name);
  first.publish([...base, lateRejectedCluster('bad', app), staticCluster('fine', app)]);
  await has('fine');
  assert.equal(first.status('cds')?.unansweredCount, 1);
  await first.close();
  const second = await serveAds(t, path, [...base, staticCluster('next', app)]);
  await has('next');
  // It stays silent: the second server does not know which cluster is at fault, and waits for none.
  const listener = httpListener({ name: 'in', route: 'r' });
  second.publish([...base, staticCluster('more', app), listener, routeTo('r', 'more')]);
  const client = await clientOf(t, envoy, 'in');
  assert.equal((await client.ask({ target: '/' })).status, 200);
});
