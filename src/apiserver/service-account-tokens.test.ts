import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { ApiObject } from '#api/object.ts';
import { ServiceAccountTokens, type TokenResult } from '#apiserver/service-account-tokens.ts';
import { loadTokenKey, type TokenKey } from '#apiserver/token-key.ts';
import { isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const clock = new FakeClock();
const deps = { clock, random: systemRandom, log: silentLogger };
const store = new MemoryStore(deps);
const metadata = { name: 'app', namespace: 'a' };
let key: TokenKey;
let tokens: ServiceAccountTokens;
let account: ApiObject;

const directory = mkdtempSync(join(tmpdir(), 'bw-'));
after(() => rmSync(directory, { recursive: true, force: true }));

before(async () => {
  key = await loadTokenKey(join(directory, 'tokens.key'));
  tokens = new ServiceAccountTokens({ issuer: ISSUER }, { ...deps, store, key });
  account = await store.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
});

const issue = async (audiences = ['istio-ca'], seconds = 600): Promise<string> =>
  (await tokens.issue(account, { audiences, seconds })).token;

function refusal(result: TokenResult): string {
  assert.equal(result.authenticated, false);
  return result.authenticated ? '' : result.error;
}

it('issues tokens with audience, expiry and the uid of the account, signed with ES256', async () => {
  const { token, expiresAt } = await tokens.issue(account, { audiences: ['a', 'b'], seconds: 600 });
  const now = Math.floor(clock.now() / 1000);
  assert.deepEqual(decodeProtectedHeader(token), { alg: 'ES256', kid: key.keyId });
  const { jti, ...claims } = decodeJwt(token);
  assert.match(jti ?? '', /^[0-9a-f-]{36}$/);
  assert.deepEqual(claims, {
    aud: ['a', 'b'],
    exp: now + 600,
    iat: now,
    iss: ISSUER,
    'kubernetes.io': {
      namespace: 'a',
      serviceaccount: { name: 'app', uid: account.metadata.uid },
    },
    nbf: now,
    sub: 'system:serviceaccount:a:app',
  });
  assert.equal(expiresAt, (now + 600) * 1000);
});

it('accepts a token for one of its audiences, and says which', async () => {
  const token = await issue(['istio-ca', 'b']);
  const result = await tokens.reviewToken(token, ['x', 'b']);
  const { jti = '' } = decodeJwt(token);
  assert.deepEqual(result, {
    authenticated: true,
    namespace: 'a',
    serviceAccount: 'app',
    uid: account.metadata.uid,
    audiences: ['b'],
    tokenId: jti,
  });
});

it('takes the audience of the API when none is asked for', async () => {
  assert.equal((await tokens.reviewToken(await issue([ISSUER]))).authenticated, true);
  assert.match(
    refusal(await tokens.reviewToken(await issue(['istio-ca']))),
    /token audiences \["istio-ca"\] is invalid for the target audiences \["https:/,
  );
});

it('refuses a token of another audience', async () => {
  assert.equal(
    refusal(await tokens.reviewToken(await issue(['istio-ca']), ['x'])),
    '[invalid bearer token, token audiences ["istio-ca"] is invalid for the target audiences ["x"]]',
  );
});

it('refuses a token once it has expired, and before it begins', async () => {
  const token = await issue(['istio-ca'], 600);
  clock.jump(599_000);
  assert.equal((await tokens.reviewToken(token, ['istio-ca'])).authenticated, true);
  clock.jump(2000);
  assert.match(refusal(await tokens.reviewToken(token, ['istio-ca'])), /token has expired/);
  clock.jump(-700_000);
  assert.match(refusal(await tokens.reviewToken(token, ['istio-ca'])), /not valid yet/);
  clock.jump(99_000);
});

it('refuses tokens that it did not sign', async (test) => {
  const token = await issue();
  const other = await loadTokenKey(join(temporaryDirectory(test), 'other.key'));
  const [header = '', payload = '', signature = ''] = token.split('.');
  const claims = decodeJwt(token);
  const forged = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: key.keyId })
    .sign(other.privateKey);
  const secret = new TextEncoder().encode(
    String(key.publicKey.export({ type: 'spki', format: 'pem' })),
  );
  const confused = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
  const changed = Buffer.from(JSON.stringify({ ...claims, aud: ['x'] })).toString('base64url');
  const foreign = await new SignJWT({ ...claims, iss: 'https://elsewhere' })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(key.privateKey);
  for (const bad of [
    forged,
    confused,
    none,
    foreign,
    `${header}.${changed}.${signature}`,
    `${header}.${payload}.AAAA`,
    `${header}.${payload}`,
    'garbage',
    '',
    '..',
    'x'.repeat(1_000_000),
  ]) {
    const error = refusal(await tokens.reviewToken(bad, ['istio-ca', 'x']));
    assert.match(error, /invalid bearer token/, bad.slice(0, 80));
  }
});

it('refuses tokens that lack what ours have', async () => {
  const { exp: _, ...endless } = decodeJwt(await issue());
  const { 'kubernetes.io': __, ...unbound } = decodeJwt(await issue());
  for (const claims of [endless, unbound]) {
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256' })
      .sign(key.privateKey);
    refusal(await tokens.reviewToken(token, ['istio-ca']));
  }
});

it('ends a token with its account, also when one of the same name comes back', async () => {
  const token = await issue();
  await store.delete({ kind: 'serviceaccounts', namespace: 'a', name: 'app' });
  const gone = refusal(await tokens.reviewToken(token, ['istio-ca']));
  assert.equal(gone, '[invalid bearer token, serviceaccounts "app" not found]');
  const old = account.metadata.uid;
  account = await store.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  const other = refusal(await tokens.reviewToken(token, ['istio-ca']));
  assert.match(
    other,
    new RegExp(`\\(${account.metadata.uid}\\) does not match claim \\(${old}\\)`),
  );
  assert.equal((await tokens.reviewToken(await issue(), ['istio-ca'])).authenticated, true);
});

it('keeps its key over restarts, for the owner only', async (test) => {
  const path = join(temporaryDirectory(test), 'tokens.key');
  const made = await loadTokenKey(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal((await loadTokenKey(path)).keyId, made.keyId);
  chmodSync(path, 0o644);
  await assert.rejects(loadTokenKey(path), (error) => isBulwarkError(error, 'FILES_TOO_OPEN'));
  chmodSync(path, 0o600);
  writeFileSync(path, 'no key');
  await assert.rejects(loadTokenKey(path), (error) => isBulwarkError(error, 'TOKEN_KEY_UNUSABLE'));
  assert.equal(readFileSync(path, 'utf8'), 'no key');
});
