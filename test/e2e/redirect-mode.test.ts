import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeenRequest } from '../kit/echo-app.ts';
import { askFrom, BACKEND, RedirectedMesh, sendFrom } from '../kit/redirected-mesh.ts';
import { hasRoot, type PodAnswer } from '../kit/redirected-proxy.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';

/** With services of the same workload on other ports. */
const OBJECTS = `${BACKEND}
---
apiVersion: v1
kind: Service
metadata: { name: plain, namespace: shop }
spec:
  clusterIP: 10.99.0.1
  selector: { app: backend }
  ports: [{ name: plain, port: 81, targetPort: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: instances, namespace: shop }
spec: { clusterIP: None, selector: { app: backend }, ports: [{ name: tcp, port: 9001 }] }
`;

const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

/** Real Envoys, real redirection: nobody in the pods knows of a proxy. */
test('redirected mode', { timeout: 240_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const mesh = new RedirectedMesh(t, OBJECTS);
  const { pod: caller } = await mesh.add('web', 'caller');
  const { pod: backend } = await mesh.add('shop', 'backend');
  const outside = mesh.addOutside();
  await backend.serve('http', 'backend', '8080');
  await backend.serve('http', 'undeclared', '7070');
  await backend.serve('tcp', '9000');
  await backend.serve('tcp', '9001');
  await outside.serve('http', 'outside', '80');
  const seenBy = (answer: PodAnswer): SeenRequest => {
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body) as SeenRequest;
  };

  await t.test(
    'a call to a service address goes over mutual TLS, and the application sees who',
    () => {
      const seen = seenBy(askFrom(caller, 'http://10.99.0.1/x', 'backend.shop'));
      assert.equal(seen.app, 'backend');
      assert.match(String(seen.headers['x-forwarded-client-cert']), new RegExp(`URI=${CALLER}$`));
      assert.equal(seen.remoteAddress, '127.0.0.6');
    },
  );

  await t.test('the same for a port without declared protocol', () => {
    const seen = seenBy(askFrom(caller, 'http://10.99.0.1:81/'));
    assert.match(String(seen.headers['x-forwarded-client-cert']), new RegExp(`URI=${CALLER}$`));
  });

  await t.test('TCP to a service address goes through', () => {
    const answer = sendFrom(caller, '10.99.0.1', '90');
    assert.equal(answer, 'hello');
  });

  await t.test('PERMISSIVE: a caller outside of the mesh gets through, without an identity', () => {
    const seen = seenBy(askFrom(outside, 'http://10.88.0.2:8080/'));
    assert.equal(seen.headers['x-forwarded-client-cert'], undefined);
  });

  await t.test(
    'a call to the address of a workload goes there as it is, which PERMISSIVE takes',
    () => {
      const seen = seenBy(askFrom(caller, 'http://10.88.0.2:8080/'));
      assert.equal(seen.headers['x-forwarded-client-cert'], undefined);
    },
  );

  await t.test('TCP to one instance of a headless service reaches that one, by mutual TLS', () => {
    const answer = sendFrom(caller, '10.88.0.2', '9001');
    assert.equal(answer, 'hello');
  });

  await t.test('a call to a host outside of the mesh goes where it was going', () => {
    assert.equal(seenBy(askFrom(caller, 'http://10.88.0.3/', 'example.com')).app, 'outside');
  });

  await t.test('the port of the inbound listener itself leads nowhere', () => {
    assert.equal(askFrom(outside, 'http://10.88.0.2:15006/').status, 0);
  });

  await t.test(
    'STRICT: plaintext is closed on every port, declared or not; the mesh goes on',
    async () => {
      assert.equal(seenBy(askFrom(outside, 'http://10.88.0.2:7070/')).app, 'undeclared');
      mesh.put(STRICT);
      await waitUntil(
        () => askFrom(outside, 'http://10.88.0.2:8080/').status === 0,
        'plaintext is closed',
      );
      assert.equal(askFrom(outside, 'http://10.88.0.2:7070/').status, 0);
      assert.notEqual(
        askFrom(caller, 'http://10.88.0.2:8080/').status,
        200,
        'not even for the mesh',
      );
      const instance = sendFrom(caller, '10.88.0.2', '9001');
      assert.equal(instance, 'hello', 'a headless service stands for its instances');
      const answer = sendFrom(outside, '10.88.0.2', '9000');
      assert.equal(answer, '');
      assert.equal(seenBy(askFrom(caller, 'http://10.99.0.1/', 'backend.shop')).app, 'backend');
      const through = sendFrom(caller, '10.99.0.1', '90');
      assert.equal(through, 'hello');
    },
  );

  await t.test('policy names ports of the workload', async () => {
    mesh.put(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-tcp, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ["9000"] } }] }] }
`);
    await waitUntil(() => {
      const answer = sendFrom(caller, '10.99.0.1', '90');
      return answer === '';
    }, 'the port is denied');
    assert.equal(seenBy(askFrom(caller, 'http://10.99.0.1/', 'backend.shop')).app, 'backend');
  });
});
