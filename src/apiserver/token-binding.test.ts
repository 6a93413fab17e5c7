// Tokens that are bound to an object: as Kubernetes gives and checks them.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { startApiServer, type TestApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const BASE = '/api/v1/namespaces/default';
const REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews';

describe('a token that is bound to an object', () => {
  let api: TestApiServer;
  const closers: (() => unknown)[] = [];
  const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
  before(async () => {
    api = await startApiServer(suite, { directory: temporaryDirectory(suite) });
    await post('/api/v1/nodes', { kind: 'Node', metadata: { name: 'n1' } });
    await post(`${BASE}/serviceaccounts`, { kind: 'ServiceAccount', metadata: { name: 'agent' } });
    await post(`${BASE}/secrets`, { kind: 'Secret', metadata: { name: 's' } });
    await makePod('p1', 'n1');
  });

  after(async () => {
    for (const close of closers) await close();
  });

  const post = async (path: string, body: object) => {
    const answer = await api.admin.post(path, { apiVersion: 'v1', ...body });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const makePod = (name: string, nodeName: string, serviceAccountName = 'agent') =>
    post(`${BASE}/pods`, {
      kind: 'Pod',
      metadata: { name },
      spec: { nodeName, serviceAccountName, containers: [{ name: 'c', image: 'i' }] },
    });
  const request = (boundObjectRef: object) =>
    api.admin.post(`${BASE}/serviceaccounts/agent/token`, {
      spec: { audiences: ['istio-ca'], boundObjectRef },
    });
  const review = async (token: string) =>
    (await api.admin.post(REVIEWS, { spec: { token, audiences: ['istio-ca'] } })).body.status;
  const claimsOf = (token: string) => decodeJwt(token)['kubernetes.io'] as Record<string, object>;

  it('says its pod and the node of that, and reviews tell both', async () => {
    const { status, body } = await request({ kind: 'Pod', apiVersion: 'v1', name: 'p1' });
    assert.equal(status, 201, JSON.stringify(body));
    const { pod, node } = claimsOf(body.status.token);
    const uid = (await api.admin.get(`${BASE}/pods/p1`)).body.metadata.uid;
    assert.deepEqual(pod, { name: 'p1', uid });
    assert.deepEqual(body.spec.boundObjectRef, { kind: 'Pod', apiVersion: 'v1', name: 'p1', uid });
    const { authenticated, user } = await review(body.status.token);
    assert.equal(authenticated, true);
    const prefix = 'authentication.kubernetes.io';
    assert.deepEqual(user.extra[`${prefix}/pod-name`], ['p1']);
    assert.deepEqual(user.extra[`${prefix}/node-name`], ['n1']);
    assert.deepEqual(user.extra[`${prefix}/node-uid`], [(node as { uid: string }).uid]);
  });

  it('ends with its object, and is not that of another one with its name', async () => {
    await makePod('gone', 'n1');
    const { token } = (await request({ kind: 'Pod', name: 'gone' })).body.status;
    assert.equal((await review(token)).authenticated, true);
    await api.admin.ask({ method: 'DELETE', path: `${BASE}/pods/gone` });
    assert.match((await review(token)).error, /pods "gone" not found/);
    await makePod('gone', 'n2');
    assert.match((await review(token)).error, /does not match claim/);
  });

  it('may be bound to a node or a Secret, and ends with those', async () => {
    await post('/api/v1/nodes', { kind: 'Node', metadata: { name: 'n9' } });
    for (const [kind, name, path] of [
      ['Node', 'n9', '/api/v1/nodes/n9'],
      ['Secret', 's', `${BASE}/secrets/s`],
    ] as const) {
      const { token } = (await request({ kind, apiVersion: 'v1', name })).body.status;
      assert.deepEqual(Object.keys(claimsOf(token)), [
        'namespace',
        kind.toLowerCase(),
        'serviceaccount',
      ]);
      assert.equal((await review(token)).authenticated, true);
      await api.admin.ask({ method: 'DELETE', path });
      assert.equal((await review(token)).authenticated, undefined);
    }
  });

  it('of a pod outlives the object of its node, which may have none', async () => {
    await makePod('lonely', 'unregistered');
    const { token } = (await request({ kind: 'Pod', name: 'lonely' })).body.status;
    assert.deepEqual(claimsOf(token).node, { name: 'unregistered' });
    assert.equal((await review(token)).authenticated, true);
  });

  it('is not given for what is missing, of another account or kind, or not meant', async () => {
    await makePod('foreign', 'n1', 'default');
    const uid = '00000000-0000-4000-8000-000000000000';
    for (const [ref, code, text] of [
      [{ kind: 'Pod', name: 'nope' }, 404, /pods "nope" not found/],
      [{ kind: 'Pod', name: 'p1', uid }, 409, /does not match the UID in record/],
      [{ kind: 'Pod', name: 'foreign' }, 400, /different serviceaccount name/],
      [{ kind: 'ConfigMap', name: 'x' }, 400, /cannot bind token to object of type v1, Kind=Conf/],
      [{ kind: 'constructor', name: 'x' }, 400, /cannot bind/],
      [{ kind: 'Pod', apiVersion: 'x/v1', name: 'p1' }, 400, /cannot bind/],
      [{ kind: 'Pod' }, 400, /needs kind and name/],
      [{ kind: 1, name: 'x' }, 400, /must be a text/],
      [['Pod'], 400, /boundObjectRef/],
    ] as const) {
      const { status, body } = await request(ref);
      assert.deepEqual([status, text.test(body.message)], [code, true], JSON.stringify(body));
    }
  });

  it('does not move to another node, since pods do not', async () => {
    const pod = (await api.admin.get(`${BASE}/pods/p1`)).body;
    const moved = { ...pod, spec: { ...pod.spec, nodeName: 'n2' } };
    const answer = await api.admin.ask({ method: 'PUT', path: `${BASE}/pods/p1`, body: moved });
    assert.equal(answer.status, 422);
    assert.match(answer.body.message, /spec.nodeName: Forbidden/);
  });
});
