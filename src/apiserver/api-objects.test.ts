import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { ApiClient } from '../../test/kit/api-client.ts';
import { startApiServer, type TestApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

// What happens to objects over HTTP: created, read, replaced, patched, deleted, and the words of
// every refusal.

const closers: (() => unknown)[] = [];
const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
let api: TestApiServer;
let admin: ApiClient;
const MAPS = '/api/v1/namespaces/a/configmaps';
const POLICIES = '/apis/security.istio.io/v1/namespaces/a/peerauthentications';

before(async () => {
  api = await startApiServer(suite, { directory: temporaryDirectory(suite) });
  admin = api.admin;
  await admin.post('/api/v1/namespaces', { metadata: { name: 'a' } });
});
after(async () => {
  for (const close of closers) await close();
});

const map = (name: string, data: object = { k: 'v' }) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const policy = (name: string, mode: string) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name },
  spec: { mtls: { mode } },
});

it('creates, gives back and lists an object', async () => {
  const { status, body } = await admin.post(MAPS, map('one'));
  assert.equal(status, 201);
  assert.equal(body.metadata.namespace, 'a');
  assert.deepEqual(body.data, { k: 'v' });
  assert.deepEqual((await admin.get(`${MAPS}/one`)).body, body);
  const list = (await admin.get(MAPS)).body;
  assert.equal(list.kind, 'ConfigMapList');
  const item = list.items.find((each: typeof body) => each.metadata.name === 'one');
  const { kind: _k, apiVersion: _a, ...rest } = body;
  assert.deepEqual(item, rest);
});

it('refuses what is there already, and what is not', async () => {
  await admin.post(MAPS, map('twice'));
  const again = await admin.post(MAPS, map('twice'));
  assert.deepEqual([again.status, again.body.reason], [409, 'AlreadyExists']);
  assert.equal(again.body.message, 'configmaps "twice" already exists');
  const missing = await admin.get(`${MAPS}/nope`);
  assert.deepEqual(missing.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "nope" not found',
    reason: 'NotFound',
    details: { name: 'nope', kind: 'configmaps' },
    code: 404,
  });
});

it('makes up names that begin as asked', async () => {
  const { body } = await admin.post(MAPS, { metadata: { generateName: 'gen-' } });
  assert.match(body.metadata.name, /^gen-[a-z0-9]{5}$/);
  const none = await admin.post(MAPS, { metadata: {} });
  assert.equal(none.status, 422);
  assert.match(none.body.message, /name or generateName is required/);
});

it('replaces only the version that was read', async () => {
  const { metadata } = (await admin.post(MAPS, map('put'))).body;
  const next = { ...map('put', { k: 'w' }), metadata };
  assert.equal((await admin.put(`${MAPS}/put`, next)).status, 200);
  const stale = await admin.put(`${MAPS}/put`, next);
  assert.deepEqual([stale.status, stale.body.reason], [409, 'Conflict']);
  assert.match(stale.body.message, /the object has been modified; please apply your changes/);
  assert.equal((await admin.put(`${MAPS}/put`, map('put', { k: 'x' }))).status, 200);
  const other = await admin.put(`${MAPS}/put`, map('other'));
  assert.match(
    other.body.message,
    /the name of the object \(other\) does not match the name on the/,
  );
  const custom = await admin.put(`${POLICIES}/none`, policy('none', 'STRICT'));
  assert.match(
    custom.body.message,
    /metadata.resourceVersion: Invalid value: 0: must be specified/,
  );
});

it('patches by JSON patch, merge patch and, for built-in kinds, strategic merge patch', async () => {
  await admin.post(MAPS, map('patch'));
  const patched = async (type: string, body: unknown): Promise<unknown> =>
    (await admin.patch(`${MAPS}/patch`, type, body)).body.data;
  assert.deepEqual(await patched('merge', { data: { k: null, m: '1' } }), { m: '1' });
  const operation = { op: 'add', path: '/data/j', value: '2' };
  assert.deepEqual(await patched('json', [operation]), { m: '1', j: '2' });
  assert.deepEqual(await patched('strategic-merge', { data: { m: '3' } }), { m: '3', j: '2' });
  await admin.post(POLICIES, policy('p', 'STRICT'));
  const refused = await admin.patch(`${POLICIES}/p`, 'strategic-merge', { spec: {} });
  assert.deepEqual([refused.status, refused.body.reason], [415, 'UnsupportedMediaType']);
  assert.equal((await admin.patch(`${POLICIES}/p`, 'apply', {})).status, 415);
});

it('patches from many sides at once lose nothing', async () => {
  await admin.post(MAPS, map('busy', {}));
  const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
  const patch = (key: string) => admin.patch(`${MAPS}/busy`, 'merge', { data: { [key]: 'v' } });
  const answers = await Promise.all(keys.map(patch));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  const { data } = (await admin.get(`${MAPS}/busy`)).body;
  assert.deepEqual(Object.keys(data).sort(), keys.sort());
});

it('warns of what is hardly meant, with what may be', async () => {
  const rules = [{ to: [{ operation: { paths: ['admin'] } }] }];
  const denied = { metadata: { name: 'odd' }, spec: { rules } };
  const path = POLICIES.replace('peerauthentications', 'authorizationpolicies');
  const { status, headers } = await admin.post(path, denied);
  assert.equal(status, 201);
  assert.match(
    String(headers.warning),
    /"admin\\?": a path begins with .* \(write \\"\/admin\\"\)/,
  );
});

it('refuses unknown fields when strict, warns when told to, and says which', async () => {
  const typo = { ...policy('typo', 'STRICT'), spec: { mtlss: {} } };
  const strict = await admin.post(`${POLICIES}?fieldValidation=Strict`, typo);
  assert.equal(strict.status, 400);
  assert.match(
    strict.body.message,
    /^PeerAuthentication in version "v1" cannot be handled as a PeerAuthentication: strict decoding error: unknown field "spec.mtlss"/,
  );
  const warned = await admin.post(`${POLICIES}?fieldValidation=Warn`, typo);
  assert.equal(warned.status, 201);
  assert.match(String(warned.headers.warning), /^299 - "unknown field \\"spec.mtlss\\"/);
  assert.equal(warned.body.spec?.mtlss, undefined);
  const ignored = await admin.put(`${POLICIES}/typo?fieldValidation=Ignore`, {
    ...typo,
    metadata: warned.body.metadata,
  });
  assert.equal(ignored.headers.warning, undefined);
  const doubled = '{"metadata":{"name":"dup"},"data":{"a":"1","a":"2"}}';
  const duplicate = await admin.post(`${MAPS}?fieldValidation=Strict`, doubled);
  assert.match(duplicate.body.message, /strict decoding error: duplicate field "data.a"/);
  const odd = await admin.post(`${MAPS}?fieldValidation=Maybe`, map('odd'));
  assert.match(odd.body.message, /Unsupported value: "Maybe": supported values: "", "Ignore"/);
});

it('refuses values that a field does not take, with field and accepted values', async () => {
  const { status, body } = await admin.post(POLICIES, policy('bad', 'MAYBE'));
  assert.equal(status, 422);
  const message =
    'Unsupported value: "MAYBE": supported values: "UNSET", "DISABLE", "PERMISSIVE", "STRICT"';
  assert.deepEqual(body.details, {
    name: 'bad',
    group: 'security.istio.io',
    kind: 'PeerAuthentication',
    causes: [{ reason: 'FieldValueNotSupported', message, field: 'spec.mtls.mode' }],
  });
  const wrongType = await admin.post(MAPS, map('type', { a: 1 }));
  assert.equal(wrongType.status, 400);
  assert.match(
    wrongType.body.message,
    /cannot unmarshal number into Go struct field ConfigMap.data/,
  );
});

it('deletes, with preconditions, and tells what it deleted', async () => {
  const { metadata } = (await admin.post(MAPS, map('gone'))).body;
  const wrong = await admin.delete(`${MAPS}/gone`, { preconditions: { uid: 'other' } });
  assert.equal(wrong.status, 409);
  const { status, body } = await admin.delete(`${MAPS}/gone`, { propagationPolicy: 'Background' });
  assert.deepEqual([status, body.status], [200, 'Success']);
  assert.deepEqual(body.details, { name: 'gone', kind: 'configmaps', uid: metadata.uid });
  assert.equal((await admin.get(`${MAPS}/gone`)).status, 404);
  const bad = await admin.delete(`${MAPS}/gone?propagationPolicy=Maybe`);
  assert.match(bad.body.message, /propagationPolicy: Unsupported value: "Maybe"/);
});

it('keeps an object that a finalizer holds until that is taken away', async () => {
  const metadata = { name: 'held', finalizers: ['example.com/hold'] };
  await admin.post(MAPS, { metadata });
  const first = (await admin.delete(`${MAPS}/held`)).body;
  assert.ok(first.metadata.deletionTimestamp);
  assert.deepEqual((await admin.delete(`${MAPS}/held`)).body, first);
  const more = { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } };
  assert.equal((await admin.patch(`${MAPS}/held`, 'merge', more)).status, 422);
  const again = await admin.post(MAPS, { metadata: { name: 'held' } });
  assert.match(again.body.message, /^object is being deleted: /);
  await admin.patch(`${MAPS}/held`, 'merge', { metadata: { finalizers: null } });
  assert.equal((await admin.get(`${MAPS}/held`)).status, 404);
});

it('deletes a collection by label', async () => {
  for (const [name, t] of [
    ['c1', 'x'],
    ['c2', 'x'],
    ['c3', 'y'],
  ]) {
    await admin.post(MAPS, { metadata: { name, labels: { t } } });
  }
  const { body } = await admin.delete(`${MAPS}?labelSelector=t%3Dx`);
  assert.equal(body.items.length, 2);
  const left = (await admin.get(`${MAPS}?labelSelector=t`)).body;
  assert.equal(left.items.length, 1);
  assert.equal((await admin.delete('/api/v1/configmaps')).status, 405);
  assert.equal((await admin.delete('/api/v1/namespaces')).status, 405);
});

it('stores nothing in a dry run, and answers what it would be', async () => {
  const made = await admin.post(`${MAPS}?dryRun=All`, map('dry'));
  assert.equal(made.status, 201);
  assert.ok(made.body.metadata.uid);
  assert.equal((await admin.get(`${MAPS}/dry`)).status, 404);
  await admin.post(MAPS, map('dry'));
  const next = await admin.put(`${MAPS}/dry?dryRun=All`, map('dry', { k: 'w' }));
  assert.deepEqual(next.body.data, { k: 'w' });
  assert.equal((await admin.delete(`${MAPS}/dry?dryRun=All`)).status, 200);
  assert.deepEqual((await admin.get(`${MAPS}/dry`)).body.data, { k: 'v' });
  assert.equal((await admin.post(`${MAPS}?dryRun=All`, map('dry'))).status, 409);
  const services = '/api/v1/namespaces/a/services?dryRun=All';
  const service = { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } };
  assert.match(
    (await admin.post(services, service)).body.spec.clusterIP,
    /^10\.(9[6-9]|1[01]\d)\./,
  );
});

it('keeps status apart from the rest', async () => {
  await admin.post(POLICIES, { ...policy('s', 'STRICT'), status: { conditions: [] } });
  const created = (await admin.get(`${POLICIES}/s`)).body;
  assert.equal(created.status, undefined);
  assert.equal(created.metadata.generation, 1);
  const conditions = [{ type: 'Ready', status: 'True' }];
  const written = await admin.patch(`${POLICIES}/s/status`, 'merge', {
    spec: { mtls: { mode: 'DISABLE' } },
    status: { conditions },
  });
  assert.deepEqual(written.body.status, { conditions });
  assert.deepEqual(written.body.spec, { mtls: { mode: 'STRICT' } });
  const main = await admin.patch(`${POLICIES}/s`, 'merge', {
    spec: { mtls: { mode: 'PERMISSIVE' } },
    status: null,
  });
  assert.deepEqual(main.body.status, { conditions });
  assert.equal(main.body.metadata.generation, 2);
  assert.equal((await admin.get(`${MAPS}/one/status`)).status, 404);
});

it('serves a kind in each of its versions', async () => {
  await admin.post(POLICIES, policy('versions', 'STRICT'));
  const old = POLICIES.replace('/v1/', '/v1beta1/');
  const { body } = await admin.get(`${old}/versions`);
  assert.equal(body.apiVersion, 'security.istio.io/v1beta1');
  const patched = await admin.patch(`${old}/versions`, 'merge', {
    metadata: { labels: { a: 'b' } },
  });
  assert.equal(patched.body.apiVersion, 'security.istio.io/v1beta1');
  const list = (await admin.get(old)).body;
  assert.equal(list.apiVersion, 'security.istio.io/v1beta1');
  assert.ok(
    list.items.every((item: { apiVersion: string }) => item.apiVersion === list.apiVersion),
  );
  assert.equal((await admin.get(`${POLICIES}/versions`)).body.apiVersion, 'security.istio.io/v1');
});
