// Tokens over the SPIFFE Workload API: who gets which, and that no token that is wrong in any way
// passes for a valid one (SPIFFE JWT-SVID, Workload API section 6).
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { SignJWT } from 'jose';
import { JwtSvidCache } from '#agent/jwt/jwt-svid-cache.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { KnownBundles } from '#agent/trust/known-bundles.ts';
import { WorkloadApi } from '#agent/workload-api/workload-api.ts';
import { BulwarkError } from '#base/errors.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { silentLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import {
  JWTBundlesResponseSchema,
  JWTSVIDRequestSchema,
  JWTSVIDResponseSchema,
  ValidateJWTSVIDRequestSchema,
  ValidateJWTSVIDResponseSchema,
} from '#gen/bulwark/spiffe/workload_pb.js';
import type { JwtAuthority } from '#spiffe/bundle.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { GrpcTestClient } from '../../../test/kit/grpc-client.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/web';
const OTHER_ID = 'spiffe://other.test/ns/bank/sa/ledger';
const GUARD = { 'workload.spiffe.io': 'true' };
const authority = testAuthority();

/** A key for tokens with its public half as bundles have it. */
function tokenKey(kid: string): { readonly privateKey: KeyObject; readonly jwk: JwtAuthority } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kty: 'EC', kid } };
}

const own = tokenKey('own');
const other = tokenKey('other');
const BUNDLES: KnownBundles = {
  own: [parseTrustDomain('cluster.local')],
  byDomain: new Map([
    [parseTrustDomain('cluster.local'), { rootsPem: authority.root, jwtAuthorities: [own.jwk] }],
    [parseTrustDomain('other.test'), { rootsPem: '', jwtAuthorities: [other.jwk] }],
  ]),
};

interface Sketch {
  readonly sub?: string;
  readonly aud?: string[];
  readonly key?: typeof own;
  readonly header?: object;
  /** Seconds from now. */
  readonly exp?: number;
}

async function setUp(t: TestContext) {
  const clock = new FakeClock(Date.now());
  const sign = ({ sub = ID, aud = ['pay'], key = own, header, exp = 300 }: Sketch = {}) =>
    new SignJWT({ role: 'x', nested: { yes: true, list: [1, null] } })
      .setProtectedHeader({ alg: 'ES256', kid: key.jwk.kid, typ: 'JWT', ...header })
      .setSubject(sub)
      .setAudience(aud)
      .setExpirationTime(Math.floor(clock.now() / 1000) + exp)
      .sign(key.privateKey);
  const control = {
    calls: 0,
    failure: undefined as unknown,
    sketch: {} as Sketch,
    issueToken: async (audience: readonly string[]) => {
      control.calls += 1;
      if (control.failure) throw control.failure;
      const token = await sign({ aud: [...audience], ...control.sketch });
      const expiresAt = clock.now() + 300_000;
      return { token, identity: control.sketch.sub ?? ID, expiresAt };
    },
  };
  const socketPath = join(temporaryDirectory(t), 'workload.sock');
  const tokens = new JwtSvidCache({ authority: control, clock });
  const api = new WorkloadApi({ socketPath }, { log: silentLogger, clock, tokens });
  t.after(() => api.close());
  await api.start();
  const client = new GrpcTestClient(t, `unix:${socketPath}`);
  const unary = async (method: string, bytes: Uint8Array) => {
    const stream = client.stream(`/SpiffeWorkloadAPI/${method}`, { metadata: GUARD });
    stream.send(bytes);
    stream.finish();
    const { code } = await stream.outcome;
    return { code, bytes: stream.messages[0] ?? Buffer.alloc(0) };
  };
  const fetch = async (init: MessageInitShape<typeof JWTSVIDRequestSchema>) => {
    const request = toBinary(JWTSVIDRequestSchema, create(JWTSVIDRequestSchema, init));
    const { code, bytes } = await unary('FetchJWTSVID', request);
    return { code, svids: fromBinary(JWTSVIDResponseSchema, bytes).svids };
  };
  const validate = async (svid: string, audience = 'pay') => {
    const init = create(ValidateJWTSVIDRequestSchema, { svid, audience });
    const request = toBinary(ValidateJWTSVIDRequestSchema, init);
    const { code, bytes } = await unary('ValidateJWTSVID', request);
    return { code, ...fromBinary(ValidateJWTSVIDResponseSchema, bytes) };
  };
  const publish = (changes: Partial<WorkloadSecret> = {}) => {
    const { certificate, privateKey } = authority.issue({ uris: [ID] });
    api.publish({
      identity: parseSpiffeId(ID),
      privateKeyPem: new Secret(privateKey),
      chainPem: certificate,
      rootsPem: authority.root,
      bundles: BUNDLES,
      serial: '1',
      notBeforeAt: 0,
      notAfterAt: clock.now() + 3_600_000,
      obtainedAt: 0,
      ...changes,
    });
  };
  return { client, clock, control, fetch, publish, sign, validate };
}

describe('tokens over the Workload API', () => {
  it('are for the audience that was asked for, and used for half of their life', async (t) => {
    const { fetch, publish, validate, control, clock } = await setUp(t);
    publish();
    const first = await fetch({ audience: ['pay', 'ship'] });
    assert.equal(first.code, GRPC_STATUS.ok);
    const [svid] = first.svids;
    assert.ok(svid && first.svids.length === 1);
    assert.equal(svid.spiffeId, ID);
    assert.equal((await validate(svid.svid, 'ship')).spiffeId, ID);
    const again = await fetch({ audience: ['ship', 'pay'], spiffeId: ID });
    assert.equal(again.svids[0]?.svid, svid.svid);
    assert.equal(control.calls, 1);
    clock.jump(151_000);
    assert.notEqual((await fetch({ audience: ['pay', 'ship'] })).svids[0]?.svid, svid.svid);
    assert.equal(control.calls, 2);
  });

  it('are not given without audience, without identity, or for somebody else', async (t) => {
    const { fetch, publish, control } = await setUp(t);
    assert.equal((await fetch({ audience: ['pay'] })).code, GRPC_STATUS.permissionDenied);
    publish();
    assert.equal((await fetch({})).code, GRPC_STATUS.invalidArgument);
    assert.equal((await fetch({ audience: [''] })).code, GRPC_STATUS.invalidArgument);
    const foreign = { audience: ['pay'], spiffeId: 'spiffe://cluster.local/ns/shop/sa/admin' };
    assert.equal((await fetch(foreign)).code, GRPC_STATUS.permissionDenied);
    assert.equal(control.calls, 0);
    publish({ notAfterAt: 1 });
    assert.equal((await fetch({ audience: ['pay'] })).code, GRPC_STATUS.permissionDenied);
  });

  it('serve on while the control plane is away, until they end', async (t) => {
    const { fetch, publish, control, clock } = await setUp(t);
    publish();
    const before = await fetch({ audience: ['pay'] });
    control.failure = new BulwarkError('AGENT_CA_UNREACHABLE', 'nobody there');
    clock.jump(200_000);
    assert.equal((await fetch({ audience: ['pay'] })).svids[0]?.svid, before.svids[0]?.svid);
    clock.jump(101_000);
    assert.equal((await fetch({ audience: ['pay'] })).code, GRPC_STATUS.unavailable);
  });

  it('that name somebody else are not handed on', async (t) => {
    const { fetch, publish, control } = await setUp(t);
    publish();
    control.sketch = { sub: 'spiffe://cluster.local/ns/shop/sa/admin' };
    assert.equal((await fetch({ audience: ['pay'] })).code, GRPC_STATUS.internal);
  });

  it('come with the keys of every trust domain, and none that is secret', async (t) => {
    const { client, publish } = await setUp(t);
    publish();
    const stream = client.stream('/SpiffeWorkloadAPI/FetchJWTBundles', { metadata: GUARD });
    stream.send(new Uint8Array());
    const { bundles } = fromBinary(JWTBundlesResponseSchema, await stream.message(0));
    assert.deepEqual(Object.keys(bundles), ['spiffe://cluster.local', 'spiffe://other.test']);
    const text = Buffer.from(bundles['spiffe://other.test'] ?? []).toString();
    assert.deepEqual(JSON.parse(text), { keys: [other.jwk] });
  });
});

describe('a token is valid', () => {
  it('with its claims, also of a federated trust domain', async (t) => {
    const { publish, sign, validate } = await setUp(t);
    publish();
    const mine = await validate(await sign());
    assert.equal(mine.spiffeId, ID);
    assert.deepEqual(mine.claims?.nested, { yes: true, list: [1, null] });
    assert.equal(mine.claims?.sub, ID);
    const foreign = await validate(await sign({ sub: OTHER_ID, key: other }));
    assert.equal(foreign.spiffeId, OTHER_ID);
  });

  const unsigned = (token: string): string => {
    const [, payload] = token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'none', kid: 'own' })).toString('base64url');
    return `${header}.${payload}.`;
  };
  const keyedWithPublicKey = (token: string): string => {
    const [, payload] = token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'own' })).toString('base64url');
    const mac = createHmac('sha256', JSON.stringify(own.jwk)).update(`${header}.${payload}`);
    return `${header}.${payload}.${mac.digest('base64url')}`;
  };
  const tampered = (token: string): string => {
    const [header, payload = '', signature] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const changed = { ...claims, sub: 'spiffe://cluster.local/ns/shop/sa/admin' };
    return `${header}.${Buffer.from(JSON.stringify(changed)).toString('base64url')}.${signature}`;
  };
  const attacks: readonly [string, Sketch, ((token: string) => string)?][] = [
    ['for another audience', { aud: ['ship'] }],
    ['that has ended', { exp: -1 }],
    ['without signature', {}, unsigned],
    ['signed with a public key as a secret', {}, keyedWithPublicKey],
    ['that was changed', {}, tampered],
    ['of our trust domain signed by the key of another', { key: other }],
    ['of another trust domain signed by our key', { sub: OTHER_ID }],
    ['of a trust domain that is not federated', { sub: 'spiffe://third.test/ns/a/sa/b' }],
    ['that names no SPIFFE id', { sub: 'admin' }],
    ['that names a trust domain only', { sub: 'spiffe://cluster.local' }],
    ['of another type', { header: { typ: 'at+jwt' } }],
    ['with a header that is not allowed', { header: { jku: 'https://evil.test/keys' } }],
    ['cut short', {}, (token) => token.slice(0, -10)],
    ['that is none', {}, () => 'nonsense'],
    ['that is empty', {}, () => ''],
  ];
  for (const [what, sketch, change] of attacks)
    it(`not when it is one ${what}`, async (t) => {
      const { publish, sign, validate } = await setUp(t);
      publish();
      const token = await sign(sketch);
      const { code } = await validate(change ? change(token) : token);
      assert.equal(code, GRPC_STATUS.invalidArgument);
    });
});
