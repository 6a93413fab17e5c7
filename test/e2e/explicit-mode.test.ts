import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { type SeenRequest, startEchoApp, startHttp2App } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';

const STRICT = objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`);

const PORTS = [
  { name: 'http', port: 80 },
  { name: 'plain', port: 81 },
  { name: 'http2', port: 82 },
];

/**
 * Two real Envoys without redirection: how calls find their way, and what reaches the application.
 */
test('explicit mode', { timeout: 240_000 }, async (t) => {
  const objects = [...serviceObjects('shop', 'backend', PORTS), groupObject('web', 'caller')];
  const mesh = new ExplicitMesh(testMesh([...objects, ...STRICT]), testAuthority());
  const port = await startEchoApp(t, 'backend');
  const plain = await startEchoApp(t, 'plain');
  const http2 = await startHttp2App(t);
  await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http: port, plain, http2 } });
  const caller = await mesh.start(t, {
    namespace: 'web',
    name: 'caller',
    upstreams: [
      { host: 'backend.shop', port: 80 },
      { host: 'nobody', port: 80 },
    ],
  });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());
  const seen = async (
    target: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<SeenRequest> => {
    const answer = await client.ask({ target, headers });
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body) as SeenRequest;
  };

  await t.test('a call by name goes over mutual TLS and says who calls', async () => {
    const request = await seen('http://backend.shop/photos?size=1');
    assert.equal(request.app, 'backend');
    assert.equal(request.path, '/photos?size=1');
    assert.match(
      String(request.headers['x-forwarded-client-cert']),
      /;URI=spiffe:\/\/cluster\.local\/ns\/web\/sa\/caller$/,
    );
  });

  await t.test('every spelling of a host that Istio knows leads to it', async () => {
    for (const host of [
      'backend.shop',
      'backend.shop:80',
      'backend.shop.svc',
      'backend.shop.svc.cluster.local',
      'backend.shop.svc.cluster.local:80',
      'BACKEND.shop.svc.cluster.local.',
    ])
      assert.equal((await seen(`http://${host}/`)).app, 'backend', host);
  });

  await t.test('a port without declared protocol carries HTTP that policy can see', async () => {
    const request = await seen('http://backend.shop:81/');
    assert.equal(request.app, 'plain');
    assert.match(String(request.headers['x-forwarded-client-cert']), /sa\/caller$/);
  });

  await t.test('a port declared HTTP/2 gets HTTP/2, over mutual TLS', async () => {
    const request = await seen('http://backend.shop:82/');
    assert.equal(request.httpVersion, '2.0');
    assert.match(String(request.headers['x-forwarded-client-cert']), /sa\/caller$/);
  });

  await t.test(
    'a short name from another namespace leads nowhere, and the answer says so',
    async () => {
      const answer = await client.ask({ target: 'http://backend/' });
      assert.equal(answer.status, 502);
      assert.match(answer.body, /No service of the mesh has this name and port/);
    },
  );

  await t.test('a host outside of the mesh is not called', async () => {
    const outside = await startEchoApp(t, 'outside');
    const answer = await client.ask({ target: `http://127.0.0.1:${outside}/` });
    assert.equal(answer.status, 502);
  });

  await t.test('CONNECT is refused', async () => {
    const socket = connect(caller.httpProxyPort, '127.0.0.1');
    socket.write('CONNECT backend.shop:80 HTTP/1.1\r\nhost: backend.shop:80\r\n\r\n');
    const [first] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    assert.match(first.toString(), /^HTTP\/1\.1 4\d\d /);
  });

  await t.test('a listener for one service names its host', async () => {
    const direct = new KeepAliveClient({ port: caller.upstreamPort('backend.shop') });
    const answer = await direct.ask({ target: '/through' });
    direct.close();
    const request = JSON.parse(answer.body) as SeenRequest;
    assert.equal(request.headers.host, 'backend.shop.svc.cluster.local');
  });

  await t.test('a listener for a service that is not there closes connections', async () => {
    const direct = new KeepAliveClient({ port: caller.upstreamPort('nobody') });
    await assert.rejects(direct.ask({ target: '/' }), /ECONNRESET|socket hang up/);
    direct.close();
  });

  await t.test('headers that only proxies may set do not reach the application', async () => {
    const forged = {
      'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/admin/sa/root',
      'x-forwarded-for': '1.2.3.4',
      'x-real-ip': '1.2.3.4',
      forwarded: 'for=1.2.3.4',
      'x-envoy-original-path': '/admin',
      'x-envoy-external-address': '1.2.3.4',
      'x-envoy-original-dst-host': '127.0.0.1:1',
      'x-request-id': 'kept',
    };
    const { headers } = await seen('http://backend.shop/', forged);
    const text = JSON.stringify(headers);
    assert.doesNotMatch(text, /1\.2\.3\.4|admin|127\.0\.0\.1:1/);
    assert.equal(headers['x-request-id'], 'kept');
  });

  await t.test('paths are made plain before anybody looks at them', async () => {
    for (const path of ['//admin', '/./admin', '/x/../admin', '/%61dmin', '/x%2f..%2fadmin'])
      assert.equal((await seen(`http://backend.shop${path}`)).path, '/admin', path);
  });
});
