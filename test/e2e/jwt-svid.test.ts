// Tokens end to end: a workload asks its agent over the SPIFFE Workload API, the agent the server,
// with the workload's certificate; another workload verifies the token with what its agent knows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { accountsYaml, workloadOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';
import { tokenApi } from '../kit/workload-api.ts';

test('a workload gets a token that another one verifies', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--jwt-svid-ttl', '2m', '--trust-domain-aliases', 'next.test');
  await mesh.apply(accountsYaml('shop', 'web', 'pay'));
  const status = await mesh.startAgent('a', { workloads: [workloadOf('web'), workloadOf('pay')] });
  const web = tokenApi(t, (await status('web')).workloadSocket);
  const pay = tokenApi(t, (await status('pay')).workloadSocket);
  const svid = await web.token('pay');
  const { sub, exp = 0, iat = 0 } = decodeJwt(svid);
  assert.equal(sub, 'spiffe://cluster.local/ns/shop/sa/web');
  assert.equal(exp - iat, 120);
  // What verifies tokens comes from the control plane a moment after the certificate.
  const isAnswered = async () => (await pay.validate(svid, 'pay')).code !== GRPC_STATUS.unavailable;
  await waitUntil(isAnswered, 'the keys of tokens', { withinMs: 60_000 });
  assert.deepEqual(await pay.validate(svid, 'pay'), { code: GRPC_STATUS.ok, identity: sub });
  assert.equal((await pay.validate(svid, 'ship')).code, GRPC_STATUS.invalidArgument);
  assert.equal((await web.fetch({})).code, GRPC_STATUS.invalidArgument);
  const foreign = { audience: ['pay'], spiffeId: 'spiffe://cluster.local/ns/shop/sa/pay' };
  assert.equal((await web.fetch(foreign)).code, GRPC_STATUS.permissionDenied);

  await mesh.startServer('--jwt-svid-ttl', '2m', '--trust-domain-aliases', 'next.test');
  const identity = sub;
  assert.deepEqual(await pay.validate(svid, 'pay'), { code: GRPC_STATUS.ok, identity });
  const later = await web.token('after');
  assert.deepEqual(await pay.validate(later, 'after'), { code: GRPC_STATUS.ok, identity });
});
