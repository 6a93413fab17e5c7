// Routes of a VirtualService, through real Envoys: which requests they lead where, and which not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const ROUTES = objectsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews]
  http:
    - match:
        - uri: { prefix: /beta }
          headers: { x-user: { exact: tester } }
          withoutHeaders: { x-stable: {} }
      rewrite: { uri: /, authority: beta.test }
      headers: { request: { set: { x-route: beta } } }
      route: [{ destination: { host: ratings } }]
    - match: [{ uri: { regex: '/v[0-9]+' }, method: { exact: POST } }]
      redirect: { uri: /latest, redirectCode: 302 }
    - match: [{ uri: { exact: /about } }]
      directResponse: { status: 418, body: { string: a teapot } }
    - match: [{ uri: { prefix: /broken } }]
      fault: { abort: { httpStatus: 501 } }
      route: [{ destination: { host: reviews } }]
    - match: [{ uri: { prefix: /unharmed } }]
      fault: { abort: {} }
      headers: { request: { add: { Host: added.test, x-added: '1' } } }
      route: [{ destination: { host: reviews } }]
    - match: [{ uri: { prefix: /nowhere } }]
      route: [{ destination: { host: reviews, subset: unknown } }]
    - match: [{ uri: { prefix: /all }, sourceLabels: { app: caller } }]
      route: [{ destination: { host: reviews }, weight: 0 }, { destination: { host: ratings }, weight: 1 }]
    - match: [{ uri: { prefix: /other }, sourceNamespace: far }]
      directResponse: { status: 500 }
    - match: [{ uri: { prefix: /other } }]
      route: [{ destination: { host: reviews } }]
`);

const PORTS = [{ name: 'http', port: 80 }];

test('routes of a VirtualService', { timeout: 240_000 }, async (t) => {
  const services = ['reviews', 'ratings'].flatMap((name) => serviceObjects('shop', name, PORTS));
  const objects = [...services, groupObject('shop', 'caller'), ...ROUTES];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  for (const name of ['reviews', 'ratings']) {
    const port = await startEchoApp(t, name);
    await mesh.start(t, { namespace: 'shop', name, ports: { http: port } });
  }
  const upstreams = [{ host: 'reviews', port: 80 }];
  const caller = await mesh.start(t, { namespace: 'shop', name: 'caller', upstreams });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  const direct = new KeepAliveClient({ port: caller.upstreamPort('reviews') });
  t.after(() => client.close());
  t.after(() => direct.close());
  const ask = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
    client.ask({ target: `http://reviews.shop${path}`, headers, method });
  const served = async (path: string, headers = {}): Promise<SeenRequest> => {
    const { status, body } = await ask(path, headers);
    assert.equal(status, 200, body);
    return JSON.parse(body) as SeenRequest;
  };

  await t.test('the first whose conditions hold counts, and changes what it says', async () => {
    const seen = await served('/beta', { 'x-user': 'tester' });
    assert.equal(seen.app, 'ratings');
    assert.equal(seen.path, '/');
    assert.equal(seen.headers.host, 'beta.test');
    assert.equal(seen.headers['x-route'], 'beta');
  });

  await t.test('a condition that does not hold leaves the route out', async () => {
    for (const headers of [{}, { 'x-user': 'a' }, { 'x-user': 'tester', 'x-stable': '1' }])
      assert.equal((await ask('/beta', headers)).status, 404);
    assert.equal((await ask('/other')).status, 200);
  });

  await t.test('a proxy answers by itself: redirects, fixed answers, faults', async () => {
    assert.equal((await ask('/v12', {}, 'POST')).status, 302);
    assert.equal((await ask('/v12')).status, 404);
    const { status, body } = await ask('/about');
    assert.deepEqual([status, body], [418, 'a teapot']);
    assert.equal((await ask('/broken')).status, 501);
  });

  await t.test('a host that is added is the host; an abort without a status is none', async () => {
    const { headers } = await served('/unharmed');
    assert.deepEqual([headers.host, headers['x-added']], ['added.test', '1']);
  });

  await t.test('an unknown subset leads nowhere, not to another part of the service', async () => {
    assert.equal((await ask('/nowhere')).status, 503);
  });

  await t.test('shares and labels of callers count', async () => {
    assert.equal((await served('/all')).app, 'ratings');
  });

  await t.test('the same routes count for a local port of the service', async () => {
    assert.equal((await direct.ask({ target: '/about' })).status, 418);
    const { status, body } = await direct.ask({ target: '/other' });
    assert.equal(status, 200);
    assert.equal((JSON.parse(body) as SeenRequest).app, 'reviews');
  });

  await t.test('without the object requests go to the service itself', async () => {
    mesh.mesh.remove(...ROUTES);
    mesh.publish();
    const seen = await waitUntil(async () => {
      const { status, body } = await ask('/about');
      return status === 200 ? (JSON.parse(body) as SeenRequest) : undefined;
    }, 'requests reach the service');
    assert.equal(seen.app, 'reviews');
  });
});
