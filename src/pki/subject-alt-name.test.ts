import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isBulwarkError } from '#base/errors.ts';
import { DerReader } from '#pki/der-read.ts';
import { contextTag, element, encodeDer, sequence } from '#pki/der-write.ts';
import { encodeNames, isDnsName, NO_NAMES, parseNames } from '#pki/subject-alt-name.ts';

const parse = (der: Uint8Array) => parseNames(new DerReader(der, 'thing'));
const isMalformed = (error: unknown): boolean => isBulwarkError(error, 'PKI_MALFORMED');

describe('subject alternative names', () => {
  it('read back as they were written', () => {
    const names = {
      uris: ['spiffe://td/a', 'spiffe://td/b'],
      dnsNames: ['istiod.istio-system.svc', '*.example.com'],
      ipAddresses: ['127.0.0.1', '::1', '2001:db8::1:0:0:5', 'fe80::'],
      othersCount: 0,
    };
    assert.deepEqual(parse(encodeDer(encodeNames(names))), names);
  });

  it('keep any IP address, in its canonical form', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), (v4, v6) => {
        const once = parse(encodeDer(encodeNames({ ipAddresses: [v4, v6] })));
        assert.equal(once.ipAddresses[0], v4);
        assert.deepEqual(parse(encodeDer(encodeNames(once))), once);
      }),
    );
    const mapped = parse(encodeDer(encodeNames({ ipAddresses: ['0:0::FFFF:1.2.3.4'] })));
    assert.deepEqual(mapped.ipAddresses, ['::ffff:102:304']);
  });

  it('count forms that are not read', () => {
    const email = element(contextTag(1, 'primitive'), 'a@b');
    assert.deepEqual(parse(encodeDer(sequence(email))), { ...NO_NAMES, othersCount: 1 });
  });

  for (const address of ['', '1.2.3', '1.2.3.4.5', 'localhost', '::1%eth0', '1::2::3'])
    it(`refuse "${address}" as an IP address`, () => {
      assert.throws(() => encodeNames({ ipAddresses: [address] }), isMalformed);
    });

  const uriTag = contextTag(6, 'primitive');
  const refused = {
    'a NUL in a URI': element(uriTag, 'spiffe://td/a\0b'),
    'a line end in a URI': element(uriTag, 'spiffe://td/a\n'),
    'a byte over 127 in a URI': element(uriTag, 'spiffe://td/\u00e4'),
    'an empty URI': element(uriTag),
    'a NUL in a DNS name': element(contextTag(2, 'primitive'), 'a.example\0.evil'),
    'an IP address of five bytes': element(contextTag(7, 'primitive'), '12345'),
    'a name that goes too far': Uint8Array.of(uriTag, 9, 97),
  };
  for (const [what, name] of Object.entries(refused))
    it(`refuse ${what}`, () => {
      assert.throws(() => parse(encodeDer(sequence(name))), isMalformed);
    });

  it('refuse an empty list', () => {
    assert.throws(() => parse(encodeDer(sequence())), isMalformed);
  });
});

describe('a DNS name', () => {
  for (const name of [
    'localhost',
    'istiod.istio-system.svc',
    '*.a.b',
    'a_b.c',
    '1.2',
    'x'.repeat(63),
  ])
    it(`may be ${name}`, () => {
      assert.equal(isDnsName(name), true);
    });

  const long = Array.from({ length: 128 }, () => 'a').join('.');
  for (const name of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a',
    'a-',
    '*',
    'a.*',
    '*a.b',
    'a b',
    'a\0',
    'x'.repeat(64),
    long,
  ])
    it(`may not be ${JSON.stringify(name.slice(0, 70))}`, () => {
      assert.equal(isDnsName(name), false);
    });
});
