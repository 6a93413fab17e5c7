import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { connect } from 'node:tls';
import { loadClientAuthority } from '#apiserver/client-authority.ts';
import { systemClock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import { systemRandom } from '#base/random.ts';
import { startApiServer, type TestApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

// Who is let in, what they may do, and what becomes of requests that no proper client sends.

const closers: (() => unknown)[] = [];
const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
let api: TestApiServer;
const MAPS = '/api/v1/namespaces/default/configmaps';
const ACCOUNT = '/api/v1/namespaces/default/serviceaccounts/default';
const REVIEWS = '/apis/authentication.k8s.io/v1';

before(async () => {
  api = await startApiServer(suite, { directory: temporaryDirectory(suite) });
});
after(async () => {
  for (const close of closers) await close();
});

async function accountToken(spec: object = {}): Promise<string> {
  const { body } = await api.admin.post(`${ACCOUNT}/token`, { spec });
  return body.status.token;
}

it('lets nobody without credentials see more than health and version', async () => {
  const nobody = api.client();
  for (const path of ['/healthz', '/livez', '/readyz', '/version']) {
    assert.equal((await nobody.get(path)).status, 200, path);
  }
  for (const path of [
    MAPS,
    '/api',
    '/apis',
    '/openapi/v3',
    '/api/v1',
    '/',
    '/nope',
    '/healthzz',
    '/readyz/ping',
  ]) {
    const { status, body } = await nobody.get(path);
    assert.equal(status, 403, path);
    assert.match(body.message, /User "system:anonymous" cannot (list|get)/);
  }
  assert.equal((await nobody.post(MAPS, { metadata: { name: 'x' } })).status, 403);
  assert.equal((await nobody.post(`${REVIEWS}/selfsubjectreviews`, {})).status, 403);
});

it('refuses credentials that do not hold, also where nobody needs any', async (test) => {
  const other = await accountToken({ audiences: ['istio-ca'] });
  for (const token of ['nonsense', 'a.b.c', 'a b', '!', 'x'.repeat(20_000), other]) {
    const { status, body } = await api.client({ token }).get('/version');
    assert.deepEqual([status, body.reason, body.message], [401, 'Unauthorized', 'Unauthorized']);
  }
  const deps = { clock: systemClock, random: systemRandom };
  const foreign = await loadClientAuthority(temporaryDirectory(test), deps);
  const subject = { user: 'test-admin', groups: ['system:masters'], validDays: 1 };
  const { status } = await api.client({ credentials: foreign.issue(subject) }).get(MAPS);
  assert.equal(status, 401);
});

it('takes other schemes and an empty token for no credentials', async () => {
  for (const authorization of ['Basic YTpi', 'Bearer ', 'Bearer', '']) {
    assert.equal((await api.client().get('/version', { authorization })).status, 200);
    assert.equal((await api.client().get(MAPS, { authorization })).status, 403);
  }
  const token = await accountToken();
  const lower = await api.client().get('/api', { authorization: `bearer ${token}` });
  assert.equal(lower.status, 200);
});

it('does not take a certificate of the mesh for one of a client', async () => {
  const uris = ['spiffe://cluster.local/ns/default/sa/default'];
  const { certificate, privateKey } = api.authority.issue({ uris });
  const key = { reveal: () => privateKey } as never;
  assert.equal((await api.client({ credentials: { certificate, key } }).get(MAPS)).status, 401);
});

it('knows a client by its certificate: common name and organization', async () => {
  const subject = { user: 'ada', groups: ['dev'], validDays: 1 };
  const ada = api.client({ credentials: api.clients.issue(subject) });
  const { body } = await ada.post(`${REVIEWS}/selfsubjectreviews`, {});
  assert.equal(body.status.userInfo.username, 'ada');
  assert.deepEqual(body.status.userInfo.groups, ['dev', 'system:authenticated']);
  const refused = await ada.get(`${MAPS}/x`);
  assert.equal(refused.status, 403);
  assert.equal(
    refused.body.message,
    'configmaps "x" is forbidden: User "ada" cannot get resource "configmaps" in API group "" in the namespace "default"',
  );
  assert.equal((await ada.get('/apis')).status, 200);
});

it('ends with the certificate, also on a connection that was opened before', async (test) => {
  let lateMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + lateMs };
  const late = await startApiServer(test, { directory: temporaryDirectory(test), clock });
  const subject = { user: 'ada', groups: ['system:masters'], validDays: 1 };
  const ada = late.client({ credentials: late.clients.issue(subject) });
  assert.equal((await ada.get(MAPS)).status, 200);
  lateMs = 2 * 24 * 3600 * 1000;
  assert.equal((await ada.get(MAPS)).status, 401);
});

it('knows a workload by its token, which opens nothing but discovery and "who am I"', async () => {
  const workload = api.client({ token: await accountToken() });
  const { body } = await workload.post(`${REVIEWS}/selfsubjectreviews`, {});
  assert.equal(body.status.userInfo.username, 'system:serviceaccount:default:default');
  assert.deepEqual(body.status.userInfo.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ]);
  for (const path of ['/api', '/apis', '/api/v1', '/openapi/v3', '/version', '/healthz']) {
    assert.equal((await workload.get(path)).status, 200, path);
  }
  for (const [method, path] of [
    ['GET', MAPS],
    ['GET', `${MAPS}?watch=true`],
    ['GET', '/api/v1/secrets'],
    ['POST', MAPS],
    ['PUT', `${MAPS}/x`],
    ['PATCH', `${MAPS}/x`],
    ['DELETE', `${MAPS}/x`],
    ['DELETE', MAPS],
    ['POST', `${ACCOUNT}/token`],
    ['POST', `${REVIEWS}/tokenreviews`],
    ['GET', '/apis/unknown.example.com/v1/things'],
    ['POST', '/version'],
  ] as const) {
    assert.equal((await workload.ask({ method, path })).status, 403, `${method} ${path}`);
  }
});

it('answers token reviews for administrators', async () => {
  const review = async (spec: object) =>
    (await api.admin.post(`${REVIEWS}/tokenreviews`, { spec })).body.status;
  const token = await accountToken({ audiences: ['istio-ca', 'b'] });
  const good = await review({ token, audiences: ['x', 'istio-ca'] });
  assert.equal(good.authenticated, true);
  assert.deepEqual(good.audiences, ['istio-ca']);
  assert.equal(good.user.username, 'system:serviceaccount:default:default');
  const bad = await review({ token });
  assert.equal(bad.authenticated, undefined);
  assert.match(bad.error, /is invalid for the target audiences/);
  const empty = await api.admin.post(`${REVIEWS}/tokenreviews`, { spec: { token: '' } });
  assert.equal(empty.status, 400);
  assert.equal((await api.admin.get(`${REVIEWS}/tokenreviews`)).status, 405);
});

it('issues tokens within the bounds on their lifetime', async () => {
  const request = (spec: object) => api.admin.post(`${ACCOUNT}/token`, { spec });
  const { status, body } = await request({ audiences: ['a'], expirationSeconds: 600 });
  assert.equal(status, 201);
  assert.deepEqual(body.spec, {
    audiences: ['a'],
    expirationSeconds: 600,
    boundObjectRef: null,
  });
  assert.equal((await request({})).body.spec.expirationSeconds, 3600);
  assert.match((await request({ expirationSeconds: 599 })).body.message, /less than 10 minutes/);
  assert.match((await request({ expirationSeconds: 2 ** 33 })).body.message, /larger than 2\^32/);
  const long = await request({ expirationSeconds: LIMITS.tokenSecondsMax + 1 });
  assert.equal(long.body.spec.expirationSeconds, LIMITS.tokenSecondsMax);
  assert.match(String(long.headers.warning), /shortened to 86400 seconds/);
  for (const spec of [{ expirationSeconds: 'x' }, { audiences: 'a' }, { audiences: [1] }]) {
    assert.equal((await request(spec)).status, 400, JSON.stringify(spec));
  }
  const ghost = await api.admin.post(`${ACCOUNT.replace(/default$/, 'ghost')}/token`, { spec: {} });
  assert.equal(ghost.body.message, 'serviceaccounts "ghost" not found');
  const other = await api.admin.post(`${ACCOUNT}/token`, { metadata: { name: 'other' }, spec: {} });
  assert.match(other.body.message, /must match the service account name/);
});

it('refuses bodies that are too large, too deep, or no objects, and goes on', async () => {
  const post = (body: unknown, type = 'application/json') =>
    api.admin.ask({ method: 'POST', path: MAPS, body, headers: { 'content-type': type } });
  const large = await post(`{"data":{"k":"${'x'.repeat(LIMITS.apiBodyBytesMax)}"}}`);
  assert.deepEqual([large.status, large.body.reason], [413, 'RequestEntityTooLarge']);
  const deep = await post('{"a":'.repeat(200_000));
  assert.equal(deep.status, 400);
  assert.match(deep.body.message, /nested deeper than 100 levels/);
  for (const body of ['', '{oops', '[]', 'null', '"text"', '1', '\0', '{"kind":"Secret"}']) {
    const { status, body: answer } = await post(body);
    assert.equal(status, 400, body);
    assert.equal(answer.reason, 'BadRequest');
  }
  for (const body of ['a: [', 'a: 1\na: 2', '- 1', '', 'a: &x 1\n---\nb: 2', 'x: '.repeat(9)]) {
    assert.equal((await post(body, 'application/yaml')).status, 400, body);
  }
  const bomb = `a: &a [x,x]\n${'bcdefghijklmnopqrstuvwxyz'
    .split('')
    .map(
      (key, index) => `${key}: &${key} [${`*${'abcdefghijklmnopqrstuvwxyz'[index]},`.repeat(9)}]`,
    )
    .join('\n')}`;
  assert.equal((await post(bomb, 'application/yaml')).status, 400);
  assert.equal((await post('k8s\0garbage', 'application/vnd.kubernetes.protobuf')).status, 400);
  assert.equal((await post('a=b', 'application/x-www-form-urlencoded')).status, 415);
  assert.equal((await post('metadata: {name: from-yaml}', 'application/yaml')).status, 201);
  const yaml = await api.admin.get(`${MAPS}/from-yaml`, { accept: 'application/yaml' });
  assert.match(yaml.text, /^apiVersion: v1\nkind: ConfigMap\nmetadata:\n/);
});

it('answers what it does not serve as Kubernetes does', async () => {
  const ask = async (method: string, path: string) => {
    const { status, body, text } = await api.admin.ask({ method, path });
    return `${status} ${body.reason ?? text.trim()}`;
  };
  assert.equal(await ask('GET', '/api/v1/namespaces/default/widgets'), '404 NotFound');
  assert.equal(await ask('GET', '/apis/security.istio.io/v9/things'), '404 NotFound');
  assert.equal(await ask('GET', '/apis/nope.example.com/v1/things'), '404 404 page not found');
  assert.equal(await ask('GET', '/nope'), '404 404 page not found');
  assert.equal(await ask('GET', '/apis/nope.example.com'), '404 404 page not found');
  assert.equal(await ask('PUT', MAPS), '405 MethodNotAllowed');
  assert.equal(await ask('POST', `${MAPS}/x`), '405 MethodNotAllowed');
  assert.equal(await ask('POST', '/version'), '405 MethodNotAllowed');
  assert.equal(await ask('OPTIONS', '/api/v1/namespaces'), '405 MethodNotAllowed');
  assert.equal(await ask('GET', '/api/v1/namespaces/default/namespaces/x'), '404 NotFound');
  assert.equal(await ask('POST', '/api/v1/configmaps'), '405 MethodNotAllowed');
  assert.equal((await api.admin.get(MAPS, { accept: 'text/html' })).status, 406);
  assert.equal((await api.admin.get('/api/v1/namespaces/%')).status, 400);
});

it('cuts off what is no HTTP, and headers without end, and goes on', async () => {
  const { port } = api.server.address;
  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ca: api.authority.root });
      let answer = '';
      socket.on('secureConnect', () => socket.write(text));
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(answer));
    });
  assert.match(await raw('not http at all\r\n\r\n'), /^HTTP\/1\.1 400/);
  const endless = `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(LIMITS.apiHeaderBytesMax + 1)}`;
  assert.match(await raw(endless), /^(HTTP\/1\.1 431|$)/);
  assert.equal((await api.admin.get('/readyz')).status, 200);
});
