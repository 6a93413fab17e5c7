// A request is taken from whoever holds the key that is in it, and from nobody else.
import assert from 'node:assert/strict';
import { subtle, type webcrypto } from 'node:crypto';
import { describe, it } from 'node:test';
import type { ErrorCode } from '#base/error-codes.ts';
import { isBulwarkError } from '#base/errors.ts';
import { buildCsr, parseCsrPem } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { decodePem, encodePem } from '#pki/pem.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';

const identity = parseSpiffeId('spiffe://cluster.local/ns/a/sa/b');
const own = () => buildCsr(identity, generateKeyPair());
const der = (pem: string): Buffer =>
  Buffer.concat(decodePem(pem, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']));
const failsWith = (code: ErrorCode) => (error: unknown) => isBulwarkError(error, code);

/** The algorithms of WebCrypto that requests are made with. */
const ALGORITHMS = {
  'P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'P-521': { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
  Ed25519: { name: 'Ed25519' },
  'RSA 2048': rsa(2048, 'SHA-256'),
  'RSA 1024': rsa(1024, 'SHA-256'),
  'RSA with SHA-1': rsa(2048, 'SHA-1'),
};

function rsa(modulusLength: number, hash: string, name = 'RSASSA-PKCS1-v1_5') {
  return { name, modulusLength, publicExponent: Uint8Array.of(1, 0, 1), hash };
}

/** A request that another implementation made. */
async function foreign(
  kind: keyof typeof ALGORITHMS,
  extensions: InstanceType<typeof x509.Extension>[] = [],
): Promise<string> {
  const algorithm = ALGORITHMS[kind];
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=somebody',
    keys: keys as webcrypto.CryptoKeyPair,
    signingAlgorithm: algorithm as webcrypto.EcdsaParams,
    extensions,
  });
  return made.toString('pem');
}

describe('a request that we make', () => {
  it('is one for another implementation too, with empty subject and the identity', async () => {
    const read = new x509.Pkcs10CertificateRequest(own());
    assert.equal(await read.verify(), true);
    assert.equal(read.subject, '');
    const [names, ...more] = read.extensions;
    assert.ok(names instanceof x509.SubjectAlternativeNameExtension && more.length === 0);
    assert.deepEqual(names.names.toJSON(), [{ type: 'url', value: identity }]);
  });

  it('reads back', () => {
    const keys = generateKeyPair();
    const { publicKey, requested } = parseCsrPem(buildCsr(identity, keys));
    assert.equal(publicKey.kind, 'P-256');
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    assert.deepEqual(Buffer.from(publicKey.spki), spki);
    assert.deepEqual(requested.names.uris, [identity]);
    assert.equal(requested.isCa, false);
  });
});

describe('a request of another implementation is taken', () => {
  for (const [kind, expected] of [
    ['P-256', 'P-256'],
    ['P-384', 'P-384'],
    ['Ed25519', 'Ed25519'],
    ['RSA 2048', 'RSA'],
  ] as const)
    it(`with a key ${kind}`, async () => {
      assert.equal(parseCsrPem(await foreign(kind)).publicKey.kind, expected);
    });

  it('with the names that it asks for', async () => {
    const names = new x509.SubjectAlternativeNameExtension([
      { type: 'url', value: 'spiffe://other/x' },
      { type: 'dns', value: 'a.example' },
      { type: 'ip', value: '10.0.0.1' },
      { type: 'email', value: 'a@example.com' },
    ]);
    const { requested } = parseCsrPem(await foreign('P-256', [names]));
    assert.deepEqual(requested.names, {
      uris: ['spiffe://other/x'],
      dnsNames: ['a.example'],
      ipAddresses: ['10.0.0.1'],
      othersCount: 1,
    });
  });

  it('and known as one of an authority when it asks for that', async () => {
    const pem = await foreign('P-256', [new x509.BasicConstraintsExtension(true, 1, true)]);
    assert.equal(parseCsrPem(pem).requested.isCa, true);
  });

  it('under the older label', () => {
    const text = own().replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST');
    assert.equal(parseCsrPem(text).publicKey.kind, 'P-256');
  });
});

describe('a request is refused', () => {
  for (const kind of ['P-521', 'RSA 1024', 'RSA with SHA-1'] as const)
    it(`with ${kind}`, async () => {
      const pem = await foreign(kind);
      assert.throws(() => parseCsrPem(pem), failsWith('PKI_UNSUPPORTED'));
    });

  it('when its signature is by another key', () => {
    const { publicKey } = generateKeyPair();
    const pem = buildCsr(identity, { publicKey, privateKey: generateKeyPair().privateKey });
    assert.throws(() => parseCsrPem(pem), failsWith('PKI_VERIFY_FAILED'));
  });

  it('when the key in it was exchanged', () => {
    const bytes = der(own());
    const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
    bytes.set(spki, bytes.indexOf(spki.subarray(0, 26)));
    const pem = encodePem('CERTIFICATE REQUEST', bytes);
    assert.throws(() => parseCsrPem(pem), failsWith('PKI_VERIFY_FAILED'));
  });

  it('when the key in it is no point of the curve', () => {
    const bytes = der(own());
    const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
    bytes.fill(
      1,
      bytes.indexOf(spki.subarray(0, 26)) + 27,
      bytes.indexOf(spki.subarray(0, 26)) + 91,
    );
    const pem = encodePem('CERTIFICATE REQUEST', bytes);
    assert.throws(() => parseCsrPem(pem), failsWith('PKI_MALFORMED'));
  });

  it('when there are two', () => {
    assert.throws(() => parseCsrPem(own() + own()), failsWith('PKI_MALFORMED'));
  });

  it('when something follows it', () => {
    const pem = encodePem('CERTIFICATE REQUEST', Buffer.concat([der(own()), Buffer.of(0)]));
    assert.throws(() => parseCsrPem(pem), failsWith('PKI_MALFORMED'));
  });

  for (const text of ['', 'garbage', '-----BEGIN CERTIFICATE REQUEST-----'])
    it(`when it is ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseCsrPem(text), failsWith('PKI_MALFORMED'));
    });
});
