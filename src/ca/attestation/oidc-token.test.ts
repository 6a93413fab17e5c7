// Tokens of an issuer that a rule names prove what the rule says, and forged ones prove nothing.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { SignJWT } from 'jose';
import { isBulwarkError } from '#base/errors.ts';
import { readOidcRules } from '#ca/attestation/oidc-rules.ts';
import { OidcTokenAttestor } from '#ca/attestation/oidc-token.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';

const ISSUER = 'https://ci.example';
const NOW = Date.UTC(2026, 0);
const MINUTE_MS = 60_000;
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const others = generateKeyPairSync('rsa', { modulusLength: 2048 });
const isUnknown = (error: unknown) => isBulwarkError(error, 'CA_UNAUTHENTICATED');
const isInvalid = (error: unknown) => isBulwarkError(error, 'CA_OIDC_RULES_INVALID');

const RULE = `
  - issuer: ${ISSUER}
    audiences: [bulwark]
    jwksFile: keys.json
    namespace: ci
    serviceAccountClaim: job
    claims: {repository: shop}
`;

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function setUp(t: TestContext, rules = RULE) {
  const folder = temporaryDirectory(t);
  const key = { ...keys.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' };
  writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys: [key] }));
  const path = join(folder, 'rules.yaml');
  writeFileSync(path, `rules:${rules}`);
  const clock = new FakeClock(NOW);
  const options = { trustDomain: TEST_TRUST_DOMAIN, rules: await readOidcRules(path) };
  const attestor = new OidcTokenAttestor(options, { clock });
  const attest = (token: string) =>
    attestor.attest({
      metadata: { authorization: `Bearer ${token}` },
      peer: { address: '127.0.0.1:1', verifiedCertificate: undefined },
    });
  return { clock, attest };
}

const CLAIMS = {
  iss: ISSUER,
  aud: 'bulwark',
  sub: 'run-7',
  job: 'builder',
  repository: 'shop',
  exp: NOW / 1000 + 60,
};

function token(changes: object = {}, key: KeyObject = keys.privateKey): Promise<string> {
  const header = { alg: 'RS256', kid: 'k1' };
  return new SignJWT({ ...CLAIMS, ...changes }).setProtectedHeader(header).sign(key);
}

describe('a caller with a token of an issuer that a rule names', () => {
  it('is the workload that the rule and the claims say', async (t) => {
    const { attest } = await setUp(t);
    const caller = await attest(await token());
    assert.equal(caller?.identity, 'spiffe://cluster.local/ns/ci/sa/builder');
    assert.deepEqual([caller.method, caller.proof], ['oidc-token', `${ISSUER} run-7`]);
  });

  it('is nobody with claims that the rule does not take', async (t) => {
    const { attest } = await setUp(t);
    for (const changes of [
      { aud: 'other' },
      { aud: undefined },
      { repository: 'other' },
      { repository: undefined },
      { job: undefined },
      { job: ['builder'] },
      { exp: NOW / 1000 - 1 },
      { exp: undefined },
      { nbf: NOW / 1000 + 30 },
    ])
      await assert.rejects(attest(await token(changes)), isUnknown, JSON.stringify(changes));
  });

  it('is nobody with a name that would be another path', async (t) => {
    const { attest } = await setUp(t);
    const isNameless = (error: unknown) => isBulwarkError(error, 'SPIFFE_INVALID');
    for (const job of ['a/sa/admin', '../x', 'a\u0000b', '', '..', 'a b'])
      await assert.rejects(attest(await token({ job })), isNameless, JSON.stringify(job));
  });

  it('is nobody when the token is not signed, or with the wrong key', async (t) => {
    const { attest, clock } = await setUp(t);
    const [, payload = ''] = (await token()).split('.');
    const publicPem = keys.publicKey.export({ type: 'spki', format: 'pem' });
    const confused = `${base64({ alg: 'HS256', kid: 'k1' })}.${payload}`;
    const mac = createHmac('sha256', publicPem).update(confused).digest('base64url');
    for (const forged of [
      `${base64({ alg: 'none' })}.${payload}.`,
      `${base64({ alg: 'nOnE', kid: 'k1' })}.${payload}.x`,
      `${confused}.${mac}`,
      await token({}, others.privateKey),
      (await token()).replace(/\.[^.]*$/, '.AAAA'),
    ])
      await assert.rejects(attest(forged), isUnknown);
    clock.advance(2 * MINUTE_MS);
    await assert.rejects(attest(await token()), isUnknown);
  });

  it('is left to others when no rule names its issuer, or it is no JWT', async (t) => {
    const { attest } = await setUp(t);
    assert.equal(await attest(await token({ iss: 'https://else.example' })), undefined);
    assert.equal(await attest('abc'), undefined);
  });
});

describe('rules for OIDC tokens', () => {
  it('are none without a file', async () => {
    assert.deepEqual(await readOidcRules(undefined), []);
  });

  for (const [what, changed] of [
    ['an issuer', RULE.replace(/- issuer:.*/, '- namespace: x').replace(/ {4}namespace: ci\n/, '')],
    ['audiences', RULE.replace('[bulwark]', '[]')],
    ['keys', RULE.replace(/ {4}jwksFile.*\n/, '')],
    ['keys over https', RULE.replace('jwksFile: keys.json', 'jwksUri: http://ci.example/k')],
    ['one namespace', RULE.replace('namespace: ci', 'namespace: ci\n    namespaceClaim: n')],
    ['known fields', RULE.replace('claims:', 'claim:')],
    ['claims that are texts', RULE.replace('repository: shop', 'repository: [shop]')],
  ] as const)
    it(`must have ${what}`, async (t) => {
      await assert.rejects(setUp(t, changed), isInvalid);
    });
});
