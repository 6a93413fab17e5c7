import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { ApiClient } from '../../test/kit/api-client.ts';
import { startApiServer, type TestApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

// Lists, pages, tables and watches over HTTP.

const closers: (() => unknown)[] = [];
const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
let api: TestApiServer;
let admin: ApiClient;
let round = 0;
const TABLE = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };

before(async () => {
  api = await startApiServer(suite, { directory: temporaryDirectory(suite) });
  admin = api.admin;
});
after(async () => {
  for (const close of closers) await close();
});

/** The config maps of a namespace of its own, with these objects in it. */
async function mapsWith(...objects: { name: string; labels?: object }[]): Promise<string> {
  round += 1;
  await admin.post('/api/v1/namespaces', { metadata: { name: `n${round}` } });
  const path = `/api/v1/namespaces/n${round}/configmaps`;
  for (const metadata of objects) await admin.post(path, { metadata, data: { k: 'v' } });
  return path;
}

const names = (body: { items: { metadata: { name: string } }[] }): string =>
  body.items.map(({ metadata }) => metadata.name).join(' ');

const events = (watch: { readonly events: readonly unknown[] }, count: number): Promise<string> =>
  waitUntil(() => {
    if (watch.events.length < count) return undefined;
    return (watch.events as { type: string; object: { metadata: { name?: string } } }[])
      .map(({ type, object }) => `${type} ${object.metadata.name ?? '-'}`)
      .join(', ');
  }, `${count} events`);

it('pages are of one moment, whatever is written meanwhile', async () => {
  const path = await mapsWith(...['a', 'b', 'c', 'd', 'e'].map((name) => ({ name })));
  const first = (await admin.get(`${path}?limit=2`)).body;
  assert.equal(names(first), 'a b');
  assert.equal(first.metadata.remainingItemCount, 3);
  await admin.post(path, { metadata: { name: 'bb' } });
  await admin.delete(`${path}/c`);
  const next = async (token: string) =>
    (await admin.get(`${path}?limit=2&continue=${encodeURIComponent(token)}`)).body;
  const second = await next(first.metadata.continue);
  assert.equal(names(second), 'c d');
  assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
  const third = await next(second.metadata.continue);
  assert.equal(names(third), 'e');
  assert.equal(third.metadata.continue, undefined);
  assert.equal(names((await admin.get(path)).body), 'a b bb d e');
});

it('refuses pages that are none, and versions that are not there', async () => {
  const path = await mapsWith({ name: 'a' });
  for (const [query, status] of [
    ['continue=abc', 400],
    ['limit=x', 400],
    ['resourceVersion=x', 400],
    ['resourceVersion=99999999', 504],
    ['resourceVersionMatch=Exact', 422],
    ['resourceVersion=1&resourceVersionMatch=Maybe', 422],
    ['sendInitialEvents=true', 422],
    ['labelSelector=a%20in%20x', 400],
    ['fieldSelector=data%3Dx', 400],
    ['includeObject=Maybe', 400],
  ] as const) {
    assert.equal((await admin.get(`${path}?${query}`)).status, status, query);
  }
});

it('lists by label and field, in one namespace or all', async () => {
  const path = await mapsWith({ name: 'x', labels: { own: 'yes' } }, { name: 'y' });
  assert.equal(names((await admin.get(`${path}?labelSelector=own%3Dyes`)).body), 'x');
  assert.equal(names((await admin.get(`${path}?fieldSelector=metadata.name%3Dy`)).body), 'y');
  assert.equal(names((await admin.get('/api/v1/configmaps?labelSelector=own')).body), 'x');
  assert.equal(names((await admin.get('/api/v1/namespaces/none/configmaps')).body), '');
});

it('gives tables with the columns of the kind', async () => {
  const path = await mapsWith({ name: 'a' });
  const { body } = await admin.get(path, TABLE);
  assert.equal(body.kind, 'Table');
  assert.deepEqual(
    body.columnDefinitions.map(({ name }: { name: string }) => name),
    ['Name', 'Data', 'Age'],
  );
  assert.deepEqual(body.rows[0].cells.slice(0, 2), ['a', 1]);
  assert.match(body.rows[0].cells[2], /^\d+s$/);
  assert.equal(body.rows[0].object.kind, 'PartialObjectMetadata');
  assert.equal(body.rows[0].object.metadata.name, 'a');
  const one = (await admin.get(`${path}/a?includeObject=None`, TABLE)).body;
  assert.equal(one.rows[0].object, null);
  const missing = await admin.get(`${path}/none`, TABLE);
  assert.equal(missing.body.kind, 'Status');
});

it('gives only metadata when that is asked for', async () => {
  const path = await mapsWith({ name: 'a' });
  const as = (form: string) => ({ accept: `application/json;as=${form};v=v1;g=meta.k8s.io` });
  const one = (await admin.get(`${path}/a`, as('PartialObjectMetadata'))).body;
  assert.deepEqual(Object.keys(one).sort(), ['apiVersion', 'kind', 'metadata']);
  const list = (await admin.get(path, as('PartialObjectMetadataList'))).body;
  assert.equal(list.items[0].data, undefined);
  assert.equal((await admin.get(path, as('PartialObjectMetadata'))).status, 406);
});

it('a watch begins with what is there, and goes on with what happens', async () => {
  const path = await mapsWith({ name: 'a' });
  const watch = await admin.watch(`${path}?watch=true`);
  await admin.post(path, { metadata: { name: 'b' } });
  await admin.patch(`${path}/b`, 'merge', { data: { x: '1' } });
  await admin.patch(`${path}/b`, 'merge', { data: { x: '1' } });
  await admin.delete(`${path}/b`);
  assert.equal(await events(watch, 4), 'ADDED a, ADDED b, MODIFIED b, DELETED b');
  watch.close();
});

it('a watch from a version sees only later changes, and of its namespace', async () => {
  const path = await mapsWith({ name: 'a' });
  const other = await mapsWith();
  const { metadata } = (await admin.get(path)).body;
  await admin.post(path, { metadata: { name: 'b' } });
  const watch = await admin.watch(`${path}?watch=true&resourceVersion=${metadata.resourceVersion}`);
  await admin.post(other, { metadata: { name: 'elsewhere' } });
  await admin.post(path, { metadata: { name: 'c' } });
  assert.equal(await events(watch, 2), 'ADDED b, ADDED c');
  watch.close();
});

it('to a watch with a selector, objects come and go as they begin and cease to match', async () => {
  const path = await mapsWith({ name: 'a', labels: { x: '1' } }, { name: 'b' });
  const watch = await admin.watch(`${path}?watch=true&labelSelector=x%3D1`);
  await events(watch, 1);
  await admin.patch(`${path}/b`, 'merge', { metadata: { labels: { x: '1' } } });
  await admin.patch(`${path}/a`, 'merge', { metadata: { labels: { x: '2' } } });
  await admin.delete(`${path}/a`);
  await admin.delete(`${path}/b`);
  assert.equal(await events(watch, 4), 'ADDED a, ADDED b, DELETED a, DELETED b');
  const [, , left] = watch.events;
  assert.deepEqual(left.object.metadata.labels, { x: '1' });
  watch.close();
});

it('a watch as a table describes its columns once', async () => {
  const path = await mapsWith({ name: 'a' });
  const watch = await admin.watch(`${path}?watch=true`, TABLE);
  await admin.post(path, { metadata: { name: 'b' } });
  await events(watch, 2);
  assert.equal(watch.events[0].object.columnDefinitions.length, 3);
  assert.equal(watch.events[1].object.columnDefinitions, null);
  assert.equal(watch.events[1].object.rows[0].cells[0], 'b');
  watch.close();
});

it('bookmarks tell how far a watch is', async () => {
  const path = await mapsWith({ name: 'a' });
  const query = 'watch=true&allowWatchBookmarks=true&timeoutSeconds=2';
  const listing = '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=';
  const watch = await admin.watch(`${path}?${query}${listing}`);
  await watch.ended;
  assert.equal(await events(watch, 3), 'ADDED a, BOOKMARK -, BOOKMARK -');
  const [, initial, last] = watch.events;
  assert.equal(initial.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
  const current = await api.store.currentVersion();
  assert.equal(last.object.metadata.resourceVersion, current);
});

it('a watch ends by itself when its time is over', async () => {
  const path = await mapsWith();
  const watch = await admin.watch(`${path}?watch=true&timeoutSeconds=1`);
  await watch.ended;
  assert.deepEqual(watch.events, []);
});

it('a watch from a future version is refused before it begins', async () => {
  const path = await mapsWith();
  const { status, body } = await admin.get(`${path}?watch=true&resourceVersion=99999999`);
  assert.deepEqual([status, body.reason], [504, 'Timeout']);
  const bad = await admin.get(`${path}?watch=true&sendInitialEvents=true`);
  assert.equal(bad.status, 422);
});

it('discovery tells the kinds, whole or in parts, and once', async () => {
  const { body } = await admin.get('/api/v1');
  const token = body.resources.find(
    ({ name }: { name: string }) => name === 'serviceaccounts/token',
  );
  assert.deepEqual(token, {
    name: 'serviceaccounts/token',
    singularName: '',
    namespaced: true,
    group: 'authentication.k8s.io',
    version: 'v1',
    kind: 'TokenRequest',
    verbs: ['create'],
  });
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const whole = await admin.get('/apis', { accept });
  assert.equal(whole.headers['content-type'], accept);
  assert.equal(whole.body.kind, 'APIGroupDiscoveryList');
  const known = { accept, 'if-none-match': String(whole.headers.etag) };
  assert.equal((await admin.get('/apis', known)).status, 304);
  assert.equal((await admin.get('/apis')).body.kind, 'APIGroupList');
});

it('OpenAPI documents are found through their index, and may be kept by their hash', async () => {
  const { paths } = (await admin.get('/openapi/v3')).body;
  const { serverRelativeURL } = paths['apis/security.istio.io/v1'];
  const document = await admin.get(serverRelativeURL);
  assert.equal(document.headers['cache-control'], 'public, immutable');
  const schema = document.body.components.schemas['io.istio.security.v1.PeerAuthentication'];
  assert.deepEqual(schema['x-kubernetes-group-version-kind'], [
    { group: 'security.istio.io', version: 'v1', kind: 'PeerAuthentication' },
  ]);
  const moved = await admin.get('/openapi/v3/apis/security.istio.io/v1?hash=0');
  assert.deepEqual([moved.status, moved.headers.location], [301, serverRelativeURL]);
  assert.equal((await admin.get('/openapi/v3/apis/nope/v1')).status, 404);
  for (const path of Object.keys(paths)) {
    assert.equal((await admin.get(`/openapi/v3/${path}`)).body.openapi, '3.0.0', path);
  }
});
