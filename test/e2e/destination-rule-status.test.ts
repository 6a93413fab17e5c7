// A user who makes callers connect in a way that the server does not take reads so in the object.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const RULE = '/apis/networking.istio.io/v1/namespaces/shop/destinationrules/web';

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-1, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: web }, serviceAccount: web }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: insist, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

const rule = (mode: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: shop }
spec: { host: web, trafficPolicy: { tls: { mode: ${mode} } } }
`;

test('a rule that does not fit the server says so in its status, until it does', {
  timeout: 240_000,
}, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(`${OBJECTS}---${rule('DISABLE')}`);
  const finding = async (): Promise<string | undefined> => {
    const object = await mesh.get<DestinationRule>(RULE);
    return object?.status?.conditions?.find(({ type }) => type === 'Findings')?.message;
  };
  const said = await waitUntil(finding, 'the rule is told of');
  assert.match(
    said,
    /port 80 of "web\.shop\..*" get plaintext, .* PeerAuthentication shop\/insist/,
  );
  await mesh.apply(rule('ISTIO_MUTUAL'));
  await waitUntil(async () => (await finding()) === undefined, 'nothing stands in the way');
});
