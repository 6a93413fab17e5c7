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
  const said = async (text: RegExp): Promise<boolean> => text.test((await finding()) ?? '');
  const judged = /judged, not required: shop\/web-1 takes requests without one .*REQUIRED/;
  await waitUntil(() => said(judged), 'tokens that nobody asks for are told of');
  const keyless = /there are no keys of https:\/\/issuer\.invalid: every token of it is refused/;
  await waitUntil(() => said(keyless), 'keys that cannot be had are told of');
  await mesh.apply(REQUIRED);
  await waitUntil(async () => !(await said(/judged/)), 'tokens are asked for');
  assert.ok(await said(keyless), 'the keys are still missing');
});
