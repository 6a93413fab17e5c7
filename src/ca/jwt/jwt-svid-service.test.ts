// Who gets a token for whom, and what stands in it (SPIFFE JWT-SVID).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { BulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, type GrpcCall, GrpcStatusError } from '#base/grpc/grpc.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { IssuanceRate } from '#ca/issuance-rate.ts';
import { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import { jwtSvidService } from '#ca/jwt/jwt-svid-service.ts';
import { declareJwtMetrics } from '#ca/jwt/metrics.ts';
import {
  JwtSvidRequestSchema,
  JwtSvidResponseSchema,
} from '#gen/bulwark/bulwark/identity/v1/jwt_svid_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const PATH = '/bulwark.identity.v1.JwtSvidService/IssueJwtSvid';
const IDENTITY = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');

async function setUp(t: TestContext, options: { perMinute?: number; isRevoked?: boolean } = {}) {
  const clock = new FakeClock(Date.UTC(2026, 0));
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const path = join(temporaryDirectory(t), 'keys.json');
  const keys = new JwtKeys({ path, tokenMsMax: 3_600_000 }, { clock, log });
  t.after(() => keys.close());
  await keys.start();
  const registry = new Metrics();
  const service = jwtSvidService(
    { ttlMs: 300_000, issuer: 'https://mesh.example' },
    {
      authenticator: {
        authenticate: async ({ metadata }) => {
          if (metadata.authorization !== 'good')
            throw new BulwarkError('CA_UNAUTHENTICATED', 'the proof says nothing');
          return { identity: IDENTITY, method: 'certificate', proof: '17' };
        },
      },
      keys,
      rate: new IssuanceRate({ perMinute: options.perMinute ?? 0 }, { clock }),
      isRevoked: () => options.isRevoked ?? false,
      metrics: declareJwtMetrics(registry),
      clock,
      random: systemRandom,
      log,
    },
  );
  const ask = async (audience: string[], authorization = 'good') => {
    const call: GrpcCall = {
      path: PATH,
      metadata: { authorization },
      peer: { address: '127.0.0.1:1', verifiedCertificate: undefined },
      signal: new AbortController().signal,
    };
    const request = toBinary(JwtSvidRequestSchema, create(JwtSvidRequestSchema, { audience }));
    const handler = service.unary?.[PATH] ?? assert.fail('no such method');
    return fromBinary(JwtSvidResponseSchema, await handler(request, call));
  };
  return { ask, clock, keys, lines, registry };
}

const ends = (status: number) => (error: unknown) =>
  error instanceof GrpcStatusError && error.status === status;

test('a token names its caller, its audience and when it ends, signed by a key that is published', async (t) => {
  const { ask, clock, keys, lines, registry } = await setUp(t);
  const { token, spiffeId, expiresAt } = await ask(['payments', 'payments']);
  assert.equal(spiffeId, IDENTITY);
  assert.deepEqual(decodeProtectedHeader(token), {
    alg: 'ES256',
    kid: keys.signer.kid,
    typ: 'JWT',
  });
  const jwks = createLocalJWKSet({ keys: keys.authorities.map((key) => ({ ...key })) });
  const { payload } = await jwtVerify(token, jwks, {
    audience: 'payments',
    currentDate: new Date(clock.now()),
  });
  const now = clock.now() / 1000;
  assert.deepEqual(
    { ...payload, jti: '' },
    {
      sub: IDENTITY,
      aud: ['payments'],
      iss: 'https://mesh.example',
      iat: now,
      exp: now + 300,
      jti: '',
    },
  );
  assert.equal(Number(expiresAt), now + 300);
  const line = lines.find((one) => one.includes('token issued')) ?? assert.fail('no record');
  for (const part of [IDENTITY, String(payload.jti), '"proof":"17"'])
    assert.ok(line.includes(part));
  assert.ok(!line.includes(token.split('.')[2] ?? ''), 'no token in the log');
  assert.match(await registry.text(), /bulwark_ca_jwt_svids_issued_total 1/);
});

test('a request without audience, or with a bad one, is refused', async (t) => {
  const { ask, registry } = await setUp(t);
  const tooMany = Array.from({ length: 51 }, (_, index) => `a${index}`);
  for (const audience of [[], [''], ['x'.repeat(1025)], tooMany])
    await assert.rejects(ask(audience), ends(GRPC_STATUS.invalidArgument));
  assert.match(await registry.text(), /bulwark_ca_jwt_svids_refused_total 4/);
});

test('who proves nothing, and who is revoked, gets the same answer and no token', async (t) => {
  const { ask } = await setUp(t);
  await assert.rejects(ask(['a'], 'bad'), ends(GRPC_STATUS.unauthenticated));
  const revoked = await setUp(t, { isRevoked: true });
  await assert.rejects(revoked.ask(['a']), ends(GRPC_STATUS.unauthenticated));
});

test('an identity gets only so many tokens in a minute', async (t) => {
  const { ask } = await setUp(t, { perMinute: 2 });
  await ask(['a']);
  await ask(['a']);
  await assert.rejects(ask(['a']), ends(GRPC_STATUS.resourceExhausted));
});
