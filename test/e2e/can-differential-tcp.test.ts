// What `bulwark can` says of a connection that is not HTTP is what becomes of it, with real Envoys.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCall } from '#cli/calls/read-call.ts';
import { Decider } from '#policy/decide/decider.ts';
import { startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const DB = 'db.shop.svc.cluster.local';
const CALLERS = ['web/caller', 'web/other', 'outside'] as const;

function policy(spec: string): string {
  const head = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n';
  return `${head}metadata: {name: p, namespace: shop}\nspec: ${spec}\n`;
}

/** Policies; `PORT` is that of the application. */
const SCENARIOS: Readonly<Record<string, string>> = {
  'nothing is said': '',
  'one caller is on the list': policy(
    '{rules: [{from: [{source: {principals: ["*/ns/web/sa/caller"]}}]}]}',
  ),
  'the port is on the list': policy('{rules: [{to: [{operation: {ports: ["PORT"]}}]}]}'),
  'another port is on the list': policy('{rules: [{to: [{operation: {ports: ["1"]}}]}]}'),
  'an ALLOW rule needs HTTP': policy('{rules: [{to: [{operation: {methods: [GET]}}]}]}'),
  'a DENY rule needs HTTP, and is wider': policy(
    '{action: DENY, rules: [{from: [{source: {namespaces: [web]}}],' +
      ' to: [{operation: {paths: [/x]}}]}]}',
  ),
  'mutual TLS is compulsory': `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p, namespace: shop}
spec: {mtls: {mode: STRICT}}
`,
  'a caller turns it off': `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: p, namespace: web}
spec: {host: ${DB}, trafficPolicy: {tls: {mode: DISABLE}}}
---
${policy('{rules: [{from: [{source: {namespaces: [web]}}]}]}')}`,
};

test('bulwark can and real Envoys agree on connections', { timeout: 240_000 }, async (t) => {
  const objects = [
    ...serviceObjects('shop', 'db', [{ name: 'tcp', port: 5000 }]),
    groupObject('web', 'caller'),
    groupObject('web', 'other'),
  ];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const { port } = await startTcpApp(t);
  const db = await mesh.start(t, { namespace: 'shop', name: 'db', ports: { tcp: port } });
  const ports = new Map<string, number>([['outside', db.listenPort('tcp')]]);
  for (const name of ['caller', 'other']) {
    const upstreams = [{ host: DB, port: 5000 }];
    const started = await mesh.start(t, { namespace: 'web', name, upstreams });
    ports.set(`web/${name}`, started.upstreamPort(DB));
  }
  const reaches = async (from: string): Promise<boolean> => {
    const { text } = await callPeer({ port: ports.get(from) ?? 0, data: 'hello' }, /hello/);
    return text === 'hello';
  };
  const seen: boolean[] = [];
  for (const [what, yaml] of Object.entries(SCENARIOS)) {
    const added = objectsOf(yaml.replace('PORT', String(port))).filter(Boolean);
    mesh.mesh.put(...added);
    mesh.publish();
    await mesh.settled();
    const snapshot = mesh.mesh.model.snapshot();
    for (const from of CALLERS) {
      const [call] = readCall({ from, to: 'shop/db:5000' }, snapshot, 'default').calls;
      assert.ok(call);
      const { decision, decidedBy } = new Decider(snapshot).decide(call, Date.now());
      const expected = decision === 'allow';
      const name = `${what}: ${from} is ${decision} (${decidedBy.reason})`;
      await waitUntil(async () => (await reaches(from)) === expected, name, { withinMs: 60_000 });
      seen.push(expected);
    }
    mesh.mesh.remove(...added);
    mesh.publish();
  }
  assert.ok(seen.includes(true) && seen.includes(false));
});
