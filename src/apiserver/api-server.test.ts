import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { it } from 'node:test';
import { connect } from 'node:tls';
import { isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { startApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

// The server as a whole: namespaces and services over HTTP, restarts, slow clients, its end.

it('looks after namespaces: account with the namespace, content gone with it', async (test) => {
  const { admin } = await startApiServer(test, { directory: temporaryDirectory(test) });
  const names = (await admin.get('/api/v1/namespaces')).body.items.map(
    ({ metadata }: { metadata: { name: string } }) => metadata.name,
  );
  assert.deepEqual(names, ['default', 'istio-system', 'kube-system']);
  const orphan = await admin.post('/api/v1/namespaces/none/configmaps', {
    metadata: { name: 'x' },
  });
  assert.deepEqual([orphan.status, orphan.body.message], [404, 'namespaces "none" not found']);
  const created = await admin.post('/api/v1/namespaces', { metadata: { name: 'a' } });
  assert.equal(created.status, 201);
  assert.deepEqual(created.body.status, { phase: 'Active' });
  const account = '/api/v1/namespaces/a/serviceaccounts/default';
  assert.equal((await admin.get(account)).status, 200);
  const held = { metadata: { name: 'held', finalizers: ['example.com/hold'] } };
  await admin.post('/api/v1/namespaces/a/configmaps', held);
  const deleted = await admin.delete('/api/v1/namespaces/a');
  assert.equal(deleted.body.status.phase, 'Terminating');
  const late = await admin.post('/api/v1/namespaces/a/configmaps', { metadata: { name: 'late' } });
  assert.equal(late.status, 403);
  assert.equal(late.body.details.causes[0].reason, 'NamespaceTerminating');
  const release = { metadata: { finalizers: null } };
  await admin.patch('/api/v1/namespaces/a/configmaps/held', 'merge', release);
  await waitUntil(
    async () => (await admin.get('/api/v1/namespaces/a')).status === 404,
    'the namespace goes',
  );
  const kept = await admin.delete('/api/v1/namespaces/kube-system');
  assert.match(kept.body.message, /this namespace may not be deleted/);
});

it('gives services addresses that they keep, and refuses what is taken', async (test) => {
  const { admin } = await startApiServer(test, { directory: temporaryDirectory(test) });
  const path = '/api/v1/namespaces/default/services';
  const service = (name: string, spec: object = {}) => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });
  const { spec } = (await admin.post(path, service('one'))).body;
  assert.match(spec.clusterIP, /^10\./);
  assert.deepEqual(spec.clusterIPs, [spec.clusterIP]);
  const updated = await admin.put(`${path}/one`, service('one', { selector: { a: 'b' } }));
  assert.equal(updated.body.spec.clusterIP, spec.clusterIP);
  const taken = await admin.post(path, service('two', { clusterIP: spec.clusterIP }));
  assert.equal(taken.status, 422);
  assert.match(taken.body.message, /provided IP is already allocated/);
  const headless = await admin.post(path, service('three', { clusterIP: 'None' }));
  assert.deepEqual(headless.body.spec.clusterIPs, ['None']);
  // A failed creation gives its address back, and does not take that of the one that is there.
  assert.equal((await admin.post(path, service('one'))).status, 409);
  const stolen = service('four', { clusterIP: spec.clusterIP });
  assert.equal((await admin.post(path, stolen)).status, 422);
  await admin.delete(`${path}/one`);
  assert.equal((await admin.post(path, stolen)).status, 201);
});

it('has the same data, key and credentials after a restart', async (test) => {
  const directory = temporaryDirectory(test);
  const authority = testAuthority();
  const first = await startApiServer(test, { directory, authority });
  const path = '/api/v1/namespaces/default/configmaps';
  const { body } = await first.admin.post(path, { metadata: { name: 'x' }, data: { k: 'v' } });
  const account = '/api/v1/namespaces/default/serviceaccounts/default/token';
  const { token } = (await first.admin.post(account, { spec: {} })).body.status;
  const kubeconfig = readFileSync(first.kubeconfig, 'utf8');
  assert.equal(statSync(first.kubeconfig).mode & 0o777, 0o600);
  const { port } = first.server.address;
  await first.close();
  const second = await startApiServer(test, { directory, authority, port });
  assert.deepEqual((await second.admin.get(`${path}/x`)).body, body);
  assert.equal(readFileSync(second.kubeconfig, 'utf8'), kubeconfig);
  assert.equal((await second.client({ token }).get('/api')).status, 200);
  const watch = await second.admin.watch(
    `${path}?watch=true&resourceVersion=${Number(body.metadata.resourceVersion) - 1}`,
  );
  await waitUntil(() => watch.events.length === 1, 'the event from before the restart');
  assert.deepEqual(watch.events[0].object, body);
  watch.close();
});

it('ends a watch from a version that is no longer known with an event that says so', async (test) => {
  const { admin, store } = await startApiServer(test, { directory: temporaryDirectory(test) });
  const path = '/api/v1/namespaces/default/configmaps';
  const metadata = { name: 'x', namespace: 'default' };
  const object = (count: number) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata,
    data: { k: String(count) },
  });
  const { resourceVersion } = (await store.create(object(-1))).metadata;
  for (let start = 0; start < LIMITS.watchHistoryMax + 100; start += 500) {
    const counts = Array.from({ length: 500 }, (_, index) => start + index);
    await Promise.all(counts.map((count) => store.update(object(count))));
  }
  const watch = await admin.watch(`${path}?watch=true&resourceVersion=${resourceVersion}`);
  assert.equal(watch.status, 200);
  await watch.ended;
  const [event, ...more] = watch.events;
  assert.deepEqual([event.type, event.object.code, event.object.reason], ['ERROR', 410, 'Expired']);
  assert.deepEqual(more, []);
  const expired = await admin.get(
    `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`,
  );
  assert.deepEqual([expired.status, expired.body.reason], [410, 'Expired']);
});

it('does not wait for a client that does not read its watch', async (test) => {
  const { admin, store } = await startApiServer(test, { directory: temporaryDirectory(test) });
  const path = '/api/v1/namespaces/default/configmaps';
  const stuck = await admin.stall(`${path}?watch=true`);
  const quick = await admin.watch(`${path}?watch=true&fieldSelector=metadata.name%3Dlast`);
  const metadata = { name: 'big', namespace: 'default' };
  for (let count = 0; count < 40; count += 1) {
    const data = { k: String(count).repeat(500_000 / String(count).length) };
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
    await (count === 0 ? store.create(object) : store.update(object));
  }
  await admin.post(path, { metadata: { name: 'last' } });
  await waitUntil(() => quick.events.length === 1, 'the other watch goes on');
  quick.close();
  stuck.resume();
  const received = await stuck.received;
  assert.ok(received > 0);
  assert.ok(received < 40 * 500_000, `${received} bytes: the watch was not ended`);
});

it('ends its watches and closes its port when it is closed', async (test) => {
  const api = await startApiServer(test, { directory: temporaryDirectory(test) });
  const watch = await api.admin.watch('/api/v1/namespaces?watch=true');
  await api.close();
  await watch.ended;
  await assert.rejects(api.client().get('/healthz'), { code: 'ECONNREFUSED' });
  await api.close();
});

it('serves a renewed certificate to new connections, and still knows its clients', async (test) => {
  const api = await startApiServer(test, { directory: temporaryDirectory(test) });
  const { port } = api.server.address;
  const served = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca: api.authority.root }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const before = await served();
  const { certificate, privateKey } = api.authority.issue({ ipAddresses: ['127.0.0.1'] });
  const clientCa = api.clients.certificate;
  api.server.updateTls({ key: privateKey, cert: certificate, clientCa });
  assert.notEqual(await served(), before);
  const subject = { user: 'late', groups: ['system:masters'], validDays: 1 };
  const late = api.client({ credentials: api.clients.issue(subject) });
  assert.equal((await late.get('/api/v1/secrets')).status, 200);
});

it('says which port is taken', async (test) => {
  const holder = createServer().listen(0, '127.0.0.1');
  test.after(() => holder.close());
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as { port: number };
  await assert.rejects(
    startApiServer(test, { directory: temporaryDirectory(test), port }),
    (error: Error) => {
      assert.match(error.message, new RegExp(`port ${port} of 127.0.0.1 is in use`));
      return isBulwarkError(error, 'NET_PORT_TAKEN');
    },
  );
});
