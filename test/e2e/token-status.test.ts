// A user whose policy judges tokens and asks for none reads so in the object.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const USERS = '/apis/security.istio.io/v1/namespaces/shop/requestauthentications/users';

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-1, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: web }, serviceAccount: web }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec:
  jwtRules: [{ issuer: "https://issuer.invalid", requireExpiration: true }]
`;
const REQUIRED = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: users, namespace: shop }
spec: { rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] }
`;

test('tokens that nothing asks for are told of in the status, until something does', {
  timeout: 240_000,
}, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const finding = async (): Promise<string | undefined> => {
    const object = await mesh.get<RequestAuthentication>(USERS);
    return object?.status?.conditions?.find(({ type }) => type === 'Findings')?.message;
  };
  const said = await waitUntil(finding, 'the policy is told of');
  assert.match(said, /judged, not required: shop\/web-1 takes requests without one .*REQUIRED/);
  await mesh.apply(REQUIRED);
  await waitUntil(async () => (await finding()) === undefined, 'tokens are asked for');
});
