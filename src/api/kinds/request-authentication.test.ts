// Rules of RequestAuthentication: each is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';
import { TokenIssuer } from '../../../test/kit/token-issuer.ts';

const kind = 'RequestAuthentication';
const AT = 'spec.jwtRules[0]';
const issuer = 'https://issuer.test';
const keys = new TokenIssuer(issuer);
const rule = (fields: object) => ({ kind, spec: { jwtRules: [{ issuer, ...fields }] } });

describe('a rule', () => {
  test('with every field is taken', () => {
    const all = {
      audiences: ['shop'],
      jwksUri: 'https://issuer.test/keys',
      fromHeaders: [{ name: 'x-token', prefix: 'Token ' }, { name: 'authorization' }],
      fromParams: ['token'],
      fromCookies: ['session'],
      outputPayloadToHeader: 'x-payload',
      forwardOriginalToken: true,
      outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }],
      timeout: '2s',
      spaceDelimitedClaims: ['roles'],
      presence: 'REQUIRED',
      requireExpiration: true,
    };
    assert.deepEqual(errorsOf(rule(all)), []);
    assert.deepEqual(warningsOf(rule(all)), []);
    assert.deepEqual(errorsOf(rule({ issuer: '', jwksUri: 'http://issuer.test/keys' })), []);
  });

  test('needs an issuer or a place of keys', () => {
    const missing = `${AT}.issuer: Required value: issuer or jwksUri must be non-empty string`;
    assert.deepEqual(errorsOf(rule({ issuer: '' })), [missing]);
    assert.deepEqual(errorsOf(rule({ issuer: undefined })), [missing]);
  });

  test('has a place of keys that is a URL of the web without a password', () => {
    for (const uri of ['file:///etc/passwd', 'issuer.test/keys', 'gopher://x', '::']) {
      assert.match(errorsOf(rule({ jwksUri: uri }))[0] ?? '', /url must have scheme http/);
    }
    const [error] = errorsOf(rule({ jwksUri: 'https://me:secret@issuer.test' }));
    assert.match(error ?? '', /must not carry a user name/);
    assert.doesNotMatch(error ?? '', /secret@/);
  });

  test('has keys that proxies can use: an empty set would leave the old policy in force', () => {
    assert.deepEqual(errorsOf(rule({ jwks: keys.keySet })), []);
    assert.match(
      errorsOf(rule({ jwks: '{"keys":[]}' }))[0] ?? '',
      /jwks parse error: it has no key/,
    );
    assert.match(errorsOf(rule({ jwks: 'x' }))[0] ?? '', /jwks parse error: it is not JSON/);
  });

  test('with a private key is taken with a warning that does not repeat it', () => {
    const sample = rule({ jwks: JSON.stringify({ keys: [keys.privateKey] }) });
    assert.deepEqual(errorsOf(sample), []);
    const [warning] = warningsOf(sample);
    assert.match(warning ?? '', /private key/);
    assert.doesNotMatch(warning ?? '', new RegExp(String(keys.privateKey.d)));
  });

  test('has keys or a place of keys, in one spelling', () => {
    const place = 'https://issuer.test/keys';
    assert.deepEqual(errorsOf(rule({ jwks_uri: place })), []);
    assert.deepEqual(errorsOf(rule({ issuer: '', jwks_uri: place })), []);
    for (const both of [
      { jwks: keys.keySet, jwksUri: place },
      { jwks: keys.keySet, jwks_uri: place },
      { jwksUri: place, jwks_uri: place },
    ])
      assert.match(errorsOf(rule(both))[0] ?? '', /only one of jwks or jwksUri can be set/);
  });

  test('names headers, parameters, cookies, audiences and claims', () => {
    const empty = [
      { audiences: [''] },
      { fromHeaders: [{ name: '' }] },
      { fromHeaders: [{ prefix: 'x' }] },
      { fromParams: [''] },
      { fromCookies: [''] },
      { outputClaimToHeaders: [{ header: '', claim: 'sub' }] },
      { outputClaimToHeaders: [{ header: 'x', claim: '' }] },
      { outputClaimToHeaders: [{ header: 'x y', claim: 'sub' }] },
      { outputPayloadToHeader: 'x:y' },
      { timeout: '0' },
      { presence: 'ALWAYS' },
      { spaceDelimitedClaims: [''] },
    ];
    for (const fields of empty) {
      assert.notDeepEqual(errorsOf(rule(fields)), [], JSON.stringify(fields));
    }
  });
});

test('an object without rules is taken, one for a pod and a gateway at once is not', () => {
  assert.deepEqual(errorsOf({ kind }), []);
  assert.deepEqual(errorsOf({ kind, spec: {} }), []);
  const selector = { matchLabels: { app: 'a' } };
  const targetRef = { kind: 'Service', name: 'a' };
  assert.match(
    errorsOf({ kind, spec: { selector, targetRef } })[0] ?? '',
    /only one of targetRefs/,
  );
});
