// SPIFFE bundles as others write them, and as nobody should.
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { bundleDocument, parseBundle, parseBundleText } from '#spiffe/bundle.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';

const authority = testAuthority();
const root = new X509Certificate(authority.root).raw;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), kty: 'EC', kid: 'k1' };
const x509Key = { use: 'x509-svid', kty: 'EC', x5c: [root.toString('base64')] };
const jwtKey = { use: 'jwt-svid', ...jwk };
const bundle = (keys: readonly unknown[], more: object = {}) => JSON.stringify({ keys, ...more });

describe('a SPIFFE bundle', () => {
  it('says roots, keys for tokens, edition and how often to look', () => {
    const text = bundle([x509Key, jwtKey], { spiffe_sequence: 7, spiffe_refresh_hint: 60 });
    const parsed = parseBundle(text);
    assert.deepEqual(parsed.roots.map(Buffer.from), [root]);
    assert.deepEqual(parsed.jwtAuthorities, [jwk]);
    assert.deepEqual([parsed.sequence, parsed.refreshHintSeconds], [7, 60]);
  });

  it('reads back what it is written as, with what JWK asks for', () => {
    const text = bundle([x509Key, jwtKey], { spiffe_sequence: 7 });
    const document = bundleDocument(parseBundle(text));
    assert.deepEqual(parseBundle(JSON.stringify(document)), parseBundle(text));
    const [first] = document.keys as readonly Record<string, unknown>[];
    assert.deepEqual([first?.kty, first?.crv, first?.use], ['EC', 'P-256', 'x509-svid']);
  });

  it('may be empty, and may hold keys for what we do not know', () => {
    assert.deepEqual(parseBundle(bundle([])).roots, []);
    const foreign = bundle([{ use: 'wit-svid', kty: 'EC' }, { kty: 'EC' }, null, jwtKey]);
    assert.equal(parseBundle(foreign).jwtAuthorities.length, 1);
  });

  it('may come as PEM roots', () => {
    const other = testAuthority('other').root;
    assert.equal(parseBundleText(`${authority.root}\n${other}`).roots.length, 2);
    assert.equal(parseBundleText(` ${bundle([jwtKey])}`).jwtAuthorities.length, 1);
  });

  const leaf = authority.issue({ uris: ['spiffe://other.test/ns/a/sa/b'] });
  const leafDer = new X509Certificate(leaf.certificate).raw.toString('base64');
  const bad: Readonly<Record<string, string>> = {
    'no JSON': 'nonsense{',
    'a list': '[]',
    'without keys': '{}',
    'with a root that does not parse': bundle([{ ...x509Key, x5c: ['AAAA'] }]),
    'with two certificates in one key': bundle([{ ...x509Key, x5c: [leafDer, leafDer] }]),
    'with a certificate that is no authority': bundle([{ ...x509Key, x5c: [leafDer] }]),
    'with a key without kid': bundle([{ ...jwtKey, kid: '' }]),
    'with two keys of one kid': bundle([jwtKey, jwtKey]),
    'with a shared key': bundle([{ use: 'jwt-svid', kid: 'a', kty: 'oct', k: 'AAAA' }]),
    'with a private key': bundle([{ ...jwtKey, ...privateKey.export({ format: 'jwk' }) }]),
    'with a key that does not parse': bundle([{ ...jwtKey, x: 'AA' }]),
    'with a sequence that is none': bundle([], { spiffe_sequence: -1 }),
    'with too many keys': bundle(Array.from({ length: 201 }, () => x509Key)),
    'that is too large': bundle([], { filler: 'x'.repeat(1024 * 1024) }),
  };
  for (const [what, text] of Object.entries(bad))
    it(`is refused ${what}`, () => {
      assert.throws(
        () => parseBundle(text),
        (error) => isBulwarkError(error, 'SPIFFE_BUNDLE_INVALID'),
      );
    });

  it('is refused as PEM with a key, with a leaf, or with nothing', () => {
    for (const text of [
      leaf.privateKey,
      `${authority.root}${leaf.privateKey}`,
      leaf.certificate,
      '',
    ])
      assert.throws(() => parseBundleText(text), /trust bundle is not used/);
  });
});
