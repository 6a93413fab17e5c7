import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeenRequest } from '../kit/echo-app.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { type Pod, PodNetwork } from '../kit/pod-network.ts';
import { hasRoot, type PodAnswer, startRedirectedProxy } from '../kit/redirected-proxy.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';

/** `10.88.0.1` calls, `.2` serves, `.3` is outside of the mesh. */
const OBJECTS = `
apiVersion: v1
kind: Service
metadata: { name: backend, namespace: shop }
spec:
  clusterIP: 10.99.0.1
  selector: { app: backend }
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: tcp, port: 9000, targetPort: 9000 }
    - { name: plain, port: 81, targetPort: 8080 }
---
apiVersion: v1
kind: Service
metadata: { name: instances, namespace: shop }
spec: { clusterIP: None, selector: { app: backend }, ports: [{ name: tcp, port: 9001 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: backend-1, namespace: shop }
spec: { address: 10.88.0.2, labels: { app: backend }, serviceAccount: backend }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: caller-1, namespace: web }
spec: { address: 10.88.0.1, labels: { app: caller }, serviceAccount: caller }
`;

const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

/** Real Envoys, real redirection: nobody in the pods knows of a proxy. */
test('redirected mode', { timeout: 120_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const network = new PodNetwork(t);
  const [caller, backend, outside] = [network.add(true), network.add(true), network.add(false)];
  const mesh = testMesh(objectsOf(OBJECTS));
  const authority = testAuthority();
  const publishers = [
    await startRedirectedProxy(
      t,
      { mesh, authority, pod: caller },
      {
        namespace: 'web',
        serviceAccount: 'caller',
        workloadName: 'caller-1',
      },
    ),
    await startRedirectedProxy(
      t,
      { mesh, authority, pod: backend },
      {
        namespace: 'shop',
        serviceAccount: 'backend',
        workloadName: 'backend-1',
      },
    ),
  ];
  const apply = (yaml: string): void => {
    mesh.put(...objectsOf(yaml));
    for (const publish of publishers) publish();
  };
  await backend.serve('http', 'backend', '8080');
  await backend.serve('http', 'undeclared', '7070');
  await backend.serve('tcp', '9000');
  await backend.serve('tcp', '9001');
  await outside.serve('http', 'outside', '80');
  const get = (pod: Pod, url: string, host?: string): PodAnswer =>
    pod.call('get', url, JSON.stringify(host === undefined ? {} : { host }));
  const seenBy = (answer: PodAnswer): SeenRequest => {
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body) as SeenRequest;
  };

  await t.test(
    'a call to a service address goes over mutual TLS, and the application sees who',
    () => {
      const seen = seenBy(get(caller, 'http://10.99.0.1/x', 'backend.shop'));
      assert.equal(seen.app, 'backend');
      assert.match(String(seen.headers['x-forwarded-client-cert']), new RegExp(`URI=${CALLER}$`));
      assert.equal(seen.remoteAddress, '127.0.0.6');
    },
  );

  await t.test('the same for a port without declared protocol', () => {
    const seen = seenBy(get(caller, 'http://10.99.0.1:81/'));
    assert.match(String(seen.headers['x-forwarded-client-cert']), new RegExp(`URI=${CALLER}$`));
  });

  await t.test('TCP to a service address goes through', () => {
    const { answer } = caller.call<{ answer: string }>('send', '10.99.0.1', '9000', 'hello');
    assert.equal(answer, 'hello');
  });

  await t.test('PERMISSIVE: a caller outside of the mesh gets through, without an identity', () => {
    const seen = seenBy(get(outside, 'http://10.88.0.2:8080/'));
    assert.equal(seen.headers['x-forwarded-client-cert'], undefined);
  });

  await t.test(
    'a call to the address of a workload goes there as it is, which PERMISSIVE takes',
    () => {
      const seen = seenBy(get(caller, 'http://10.88.0.2:8080/'));
      assert.equal(seen.headers['x-forwarded-client-cert'], undefined);
    },
  );

  await t.test('TCP to one instance of a headless service reaches that one, by mutual TLS', () => {
    const { answer } = caller.call<{ answer: string }>('send', '10.88.0.2', '9001', 'hello');
    assert.equal(answer, 'hello');
  });

  await t.test('a call to a host outside of the mesh goes where it was going', () => {
    assert.equal(seenBy(get(caller, 'http://10.88.0.3/', 'example.com')).app, 'outside');
  });

  await t.test('the port of the inbound listener itself leads nowhere', () => {
    assert.equal(get(outside, 'http://10.88.0.2:15006/').status, 0);
  });

  await t.test(
    'STRICT: plaintext is closed on every port, declared or not; the mesh goes on',
    async () => {
      assert.equal(seenBy(get(outside, 'http://10.88.0.2:7070/')).app, 'undeclared');
      apply(STRICT);
      await waitUntil(
        () => get(outside, 'http://10.88.0.2:8080/').status === 0,
        'plaintext is closed',
      );
      assert.equal(get(outside, 'http://10.88.0.2:7070/').status, 0);
      assert.notEqual(get(caller, 'http://10.88.0.2:8080/').status, 200, 'not even for the mesh');
      const instance = caller.call<{ answer: string }>('send', '10.88.0.2', '9001', 'hello');
      assert.equal(instance.answer, 'hello', 'a headless service stands for its instances');
      const { answer } = outside.call<{ answer: string }>('send', '10.88.0.2', '9000', 'hello');
      assert.equal(answer, '');
      assert.equal(seenBy(get(caller, 'http://10.99.0.1/', 'backend.shop')).app, 'backend');
      const through = caller.call<{ answer: string }>('send', '10.99.0.1', '9000', 'hello');
      assert.equal(through.answer, 'hello');
    },
  );

  await t.test('policy names ports of the workload', async () => {
    apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-tcp, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ["9000"] } }] }] }
`);
    await waitUntil(() => {
      const { answer } = caller.call<{ answer: string }>('send', '10.99.0.1', '9000', 'hello');
      return answer === '';
    }, 'the port is denied');
    assert.equal(seenBy(get(caller, 'http://10.99.0.1/', 'backend.shop')).app, 'backend');
  });
});
