// What AUDIT policies match is written down by Envoy, and recorded by the agent's reader of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAudit } from '#agent/denials/audit.ts';
import { parseRefusal } from '#agent/denials/refusal.ts';
import { custom, startCustomMesh } from '../kit/custom-mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { callPeer } from '../kit/peer-call.ts';
import { waitUntil } from '../kit/wait-until.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

/** AUDIT of a path and of the TCP port; DENY of a path beside it. */
const policies = (httpPort: number, tcpPort: number) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: watch, namespace: shop }
spec:
  action: AUDIT
  rules:
    - to: [{ operation: { paths: ["/watched*"], ports: ["${httpPort}"] } }]
    - to: [{ operation: { ports: ["${tcpPort}"] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no, namespace: shop }
spec:
  action: DENY
  rules: [{ to: [{ operation: { paths: [/watched/no], ports: ["${httpPort}"] } }] }]
`);

test('what an AUDIT policy matches is recorded', { timeout: 240_000 }, async (t) => {
  const { mesh, web, app, tcp, certificate, apply, ask } = await startCustomMesh(t);
  const [http] = app.proxy.explicit?.inbound ?? [];
  apply(
    ...policies(http?.port ?? 0, tcp.port),
    ...custom('c', 'web', '[{ to: [{ operation: { paths: [/ask] } }] }]'),
  );
  const lines = () => app.accessLog().map((line) => JSON.stringify(line));
  const audits = () => lines().flatMap((line) => parseAudit(line) ?? []);
  const auditOf = (path: string) =>
    waitUntil(() => audits().find((record) => record.path === path), `${path} is recorded`);
  await waitUntil(async () => (await ask('/watched/no')).status === 403, 'the policies are there');

  await t.test('who asked for what, and that it was allowed', async () => {
    const trace = `traceparent: 00-${TRACE}-00f067aa0ba902b7-01\r\n`;
    assert.equal((await ask('/watched/yes?secret=1', trace)).status, 200);
    const { peer, method, policy, rule, decision, status, traceId } = await auditOf('/watched/yes');
    assert.deepEqual(
      { peer, method, policy, rule, decision, status, traceId },
      {
        peer: 'spiffe://cluster.local/ns/web/sa/caller',
        method: 'POST',
        policy: 'shop/watch',
        rule: 0,
        decision: 'allowed',
        status: 200,
        traceId: TRACE,
      },
    );
  });

  await t.test('and that it was denied', async () => {
    // The first requests may have come before the AUDIT policy did, or before the denial.
    assert.equal((await ask('/watched/no')).status, 403);
    const { status, decidedBy } = await waitUntil(
      () => audits().find(({ path, decision }) => path === '/watched/no' && decision === 'denied'),
      'the denial is recorded',
    );
    assert.deepEqual([status, decidedBy], [403, 'shop/no']);
  });

  await t.test('and which policy allowed it', async () => {
    const allow = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: yes, namespace: shop }
spec: { rules: [{}] }
`);
    mesh.mesh.put(...allow);
    mesh.publish();
    await waitUntil(async () => {
      await ask('/watched/allowed');
      return audits().some(({ decidedBy }) => decidedBy === 'shop/yes');
    }, 'a record names the policy');
    mesh.mesh.remove(...allow);
    mesh.publish();
  });

  await t.test('each once, and nothing else is', async () => {
    assert.equal((await ask('/other')).status, 200);
    assert.equal((await ask('/watched/once')).status, 200);
    await auditOf('/watched/once');
    assert.equal(audits().filter(({ path }) => path === '/watched/once').length, 1);
    assert.deepEqual(
      audits().filter(({ path }) => path === '/other'),
      [],
    );
  });

  await t.test('connections too', async () => {
    const call = { port: app.listenPort('tcp'), certificate, data: 'hello' };
    assert.equal((await callPeer(call, /hello/)).text, 'hello');
    const record = await waitUntil(
      () => audits().find(({ port }) => port === tcp.port),
      'the connection is recorded',
    );
    assert.deepEqual([record.policy, record.rule, record.decision], ['shop/watch', 1, 'allowed']);
  });

  await t.test('and what a provider denies names it, and the policy that asked', async () => {
    web.verdict = () => ({ status: 403 });
    await waitUntil(async () => (await ask('/ask')).status === 403, 'the provider denies');
    const refusal = await waitUntil(
      () =>
        lines()
          .flatMap((line) => parseRefusal(line) ?? [])
          .find(({ path }) => path === '/ask'),
      'the denial is logged',
    );
    assert.deepEqual([refusal.provider, refusal.policy], ['web', 'ns[shop]-policy[c]-rule[0]']);
  });
});
