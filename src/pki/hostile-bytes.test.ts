// Whatever bytes come in: the parsers return, or throw a BulwarkError that says PKI_…, and do
// nothing else.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isBulwarkError } from '#base/errors.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { buildCsr, parseCsrPem } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { decodePem, encodePem } from '#pki/pem.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';

const RUNS = { numRuns: 2000 };
const identity = parseSpiffeId('spiffe://cluster.local/ns/a/sa/b');
const keys = generateKeyPair();
const csr = single(decodePem(buildCsr(identity, keys), ['CERTIFICATE REQUEST']));
const authority = testAuthority();
const names = { uris: [identity], dnsNames: ['a.example'], ipAddresses: ['::1'] };
const leaf = single(decodePem(authority.issue(names).certificate, ['CERTIFICATE']));
const root = single(decodePem(authority.root, ['CERTIFICATE']));

function single([first]: readonly Uint8Array[]): Uint8Array {
  assert.ok(first);
  return first;
}

/** Good bytes with some of them changed, cut off, doubled or put in. */
function damaged(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(good.length - 1);
  const change = fc.record({ at, count: fc.nat(3), bytes: fc.uint8Array({ maxLength: 4 }) });
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes = Buffer.from(good);
    for (const { at: start, count, bytes: instead } of changes)
      bytes = Buffer.concat([bytes.subarray(0, start), instead, bytes.subarray(start + count)]);
    return new Uint8Array(bytes);
  });
}

function survives<T>(parse: (input: T) => unknown): (input: T) => void {
  return (input) => {
    try {
      parse(input);
    } catch (error) {
      assert.ok(isBulwarkError(error) && error.code.startsWith('PKI_'), String(error));
    }
  };
}

const inputs = {
  'any bytes': fc.uint8Array({ maxLength: 300 }),
  'a damaged request': damaged(csr),
  'a damaged leaf': damaged(leaf),
  'a damaged root': damaged(root),
};

describe('hostile bytes', () => {
  for (const [what, bytes] of Object.entries(inputs)) {
    it(`${what} as a certificate`, () => {
      fc.assert(fc.property(bytes, survives(parseCertificate)), RUNS);
    });

    it(`${what} as a request`, () => {
      const parse = (input: Uint8Array) => parseCsrPem(encodePem('CERTIFICATE REQUEST', input));
      fc.assert(fc.property(bytes, survives(parse)), RUNS);
    });

    it(`${what} as a public key`, () => {
      fc.assert(fc.property(bytes, survives(parsePublicKey)), RUNS);
    });
  }

  it('any text as PEM', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .string()
        .map(
          (inner) =>
            `-----BEGIN CERTIFICATE REQUEST-----\n${inner}\n-----END CERTIFICATE REQUEST-----`,
        ),
    );
    fc.assert(fc.property(text, survives(parseCsrPem)), RUNS);
  });

  it('a request with any byte changed never yields the same key with other wishes', () => {
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    for (let at = 0; at < csr.length; at += 1) {
      const bytes = Uint8Array.from(csr);
      bytes[at] = (bytes[at] ?? 0) ^ 0x01;
      try {
        const read = parseCsrPem(encodePem('CERTIFICATE REQUEST', bytes));
        assert.fail(`byte ${at}: ${JSON.stringify(read.requested)} for ${spki.toString('hex')}`);
      } catch (error) {
        assert.ok(isBulwarkError(error), String(error));
      }
    }
  });

  it('deep nesting costs nothing', () => {
    const deep = Buffer.alloc(100_000, Buffer.from('3080', 'hex'));
    assert.throws(() => parseCertificate(deep), isBulwarkError);
  });
});
