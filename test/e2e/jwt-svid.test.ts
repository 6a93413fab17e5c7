// Tokens end to end: a workload asks its agent over the SPIFFE Workload API, the agent the server,
// with the workload's certificate; another workload verifies the token with what its agent knows.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { decodeJwt } from 'jose';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import {
  JWTSVIDRequestSchema,
  JWTSVIDResponseSchema,
  ValidateJWTSVIDRequestSchema,
  ValidateJWTSVIDResponseSchema,
} from '#gen/bulwark/spiffe/workload_pb.js';
import { GrpcTestClient } from '../kit/grpc-client.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: shop }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: pay, namespace: shop }
`;
const workload = (name: string) => ({
  namespace: 'shop',
  serviceAccount: name,
  name,
  mode: 'explicit',
});

function workloadApi(t: TestContext, socketPath: string) {
  const client = new GrpcTestClient(t, `unix:${socketPath}`);
  const call = async (method: string, bytes: Uint8Array) => {
    const metadata = { 'workload.spiffe.io': 'true' };
    const stream = client.stream(`/SpiffeWorkloadAPI/${method}`, { metadata });
    stream.send(bytes);
    stream.finish();
    const { code } = await stream.outcome;
    return { code, bytes: stream.messages[0] ?? Buffer.alloc(0) };
  };
  return {
    fetch: async (init: MessageInitShape<typeof JWTSVIDRequestSchema>) => {
      const request = toBinary(JWTSVIDRequestSchema, create(JWTSVIDRequestSchema, init));
      const { code, bytes } = await call('FetchJWTSVID', request);
      return { code, svid: fromBinary(JWTSVIDResponseSchema, bytes).svids[0]?.svid ?? '' };
    },
    validate: async (svid: string, audience: string) => {
      const init = create(ValidateJWTSVIDRequestSchema, { svid, audience });
      const request = toBinary(ValidateJWTSVIDRequestSchema, init);
      const { code, bytes } = await call('ValidateJWTSVID', request);
      return { code, identity: fromBinary(ValidateJWTSVIDResponseSchema, bytes).spiffeId };
    },
  };
}

test('a workload gets a token that another one verifies', { timeout: 90_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--jwt-svid-ttl', '2m', '--trust-domain-aliases', 'next.test');
  await mesh.apply(OBJECTS);
  const status = await mesh.startAgent('a', { workloads: [workload('web'), workload('pay')] });
  const web = workloadApi(t, (await status('web')).workloadSocket);
  const pay = workloadApi(t, (await status('pay')).workloadSocket);
  const { svid } = await waitUntil(
    async () => {
      const fetched = await web.fetch({ audience: ['pay'] });
      return fetched.code === GRPC_STATUS.ok ? fetched : undefined;
    },
    'a token',
    { withinMs: 20_000 },
  );
  const { sub, exp = 0, iat = 0 } = decodeJwt(svid);
  assert.equal(sub, 'spiffe://cluster.local/ns/shop/sa/web');
  assert.equal(exp - iat, 120);
  assert.deepEqual(await pay.validate(svid, 'pay'), { code: GRPC_STATUS.ok, identity: sub });
  assert.equal((await pay.validate(svid, 'ship')).code, GRPC_STATUS.invalidArgument);
  assert.equal((await web.fetch({})).code, GRPC_STATUS.invalidArgument);
  const foreign = { audience: ['pay'], spiffeId: 'spiffe://cluster.local/ns/shop/sa/pay' };
  assert.equal((await web.fetch(foreign)).code, GRPC_STATUS.permissionDenied);

  await mesh.startServer('--jwt-svid-ttl', '2m', '--trust-domain-aliases', 'next.test');
  const identity = sub;
  assert.deepEqual(await pay.validate(svid, 'pay'), { code: GRPC_STATUS.ok, identity });
  const later = await waitUntil(
    async () => {
      const fetched = await web.fetch({ audience: ['after'] });
      return fetched.code === GRPC_STATUS.ok ? fetched : undefined;
    },
    'a token of the restarted server',
    { withinMs: 20_000 },
  );
  assert.deepEqual(await pay.validate(later.svid, 'after'), { code: GRPC_STATUS.ok, identity });
});
