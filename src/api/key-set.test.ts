// A set of keys goes to proxies only without secrets, and only when a proxy can use it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { TokenIssuer } from '../../test/kit/token-issuer.ts';
import { readKeySet } from './key-set.ts';

const rsa = new TokenIssuer('https://issuer.test', { algorithm: 'RS256' });
const ec = new TokenIssuer('https://issuer.test', { keyId: 'ec' });
const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 'shared' };

const read = (value: unknown, sharedSecrets = false) =>
  readKeySet(typeof value === 'string' ? value : JSON.stringify(value), { sharedSecrets });

function problemOf(value: unknown): string {
  const reading = read(value);
  return reading.ok ? 'none' : reading.problem;
}

describe('a key set', () => {
  test('with keys that proxies can use stays as it is, to the letter', () => {
    const text = JSON.stringify({ extra: 1, keys: [rsa.key, ec.key] }, null, 2);
    assert.deepEqual(read(text), { ok: true, text, count: 2, warnings: [] });
  });

  test('loses the private parts of its keys, and says so', () => {
    const reading = read({ keys: [rsa.privateKey, ec.privateKey] });
    assert.ok(reading.ok);
    assert.equal(reading.count, 2);
    assert.match(reading.warnings.join(), /keys\[0\] is a private key.*keys\[1\] is a private key/);
    for (const key of JSON.parse(reading.text).keys) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi']) assert.ok(!(member in key), member);
    }
  });

  test('loses keys that no proxy can use, and keeps the others', () => {
    const odd = [
      { ...ec.key, x: 'AAAA' },
      { ...ec.key, crv: 'secp256k1' },
      { ...rsa.key, n: 'not base64url!' },
      { ...rsa.key, use: 'enc' },
      { kty: 'magic' },
      'no object',
      null,
    ];
    const reading = read({ keys: [...odd, rsa.key] });
    assert.ok(reading.ok);
    assert.equal(reading.count, 1);
    assert.equal(reading.warnings.length, odd.length);
    assert.deepEqual(JSON.parse(reading.text), { keys: [rsa.key] });
  });

  test('has shared secrets only where nobody else can read it', () => {
    assert.match(problemOf({ keys: [secret] }), /shared secret/);
    assert.equal(read({ keys: [secret] }, true).ok, true);
  });

  test('without a key is none', () => {
    assert.match(problemOf({ keys: [] }), /no key that a proxy can use/);
    assert.match(problemOf({ keys: [{ kty: 'magic' }] }), /no key that a proxy can use.*magic/);
  });

  test('that is no JSON, no object, has no list, or is over a limit is none', () => {
    assert.equal(problemOf('<html>'), 'it is not JSON');
    for (const value of [[], 1, null, {}, { keys: {} }]) {
      assert.equal(problemOf(value), 'it has no list `keys`');
    }
    const many = Array.from({ length: LIMITS.jwksKeysMax + 1 }, () => ec.key);
    assert.match(problemOf({ keys: many }), /more than 200 keys/);
    assert.match(problemOf(`"${'x'.repeat(LIMITS.jwksBytesMax)}"`), /more than 262144 bytes/);
  });
});
