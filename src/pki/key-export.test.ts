// Our own way of writing P-256 keys gives the bytes that OpenSSL gives; other kinds go through it.
import assert from 'node:assert/strict';
import { createECDH, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { keyPairToPem, spkiOf } from '#pki/key-export.ts';
import type { KeyPair } from '#pki/keys.ts';

const made: Readonly<Record<string, () => KeyPair>> = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

/** A P-256 key with this number, which may be small. */
function keysOf(number: number): KeyPair {
  const ecdh = createECDH('prime256v1');
  const d = Buffer.alloc(32);
  d.writeUInt32BE(number, 28);
  ecdh.setPrivateKey(d);
  const point = ecdh.getPublicKey();
  const [x = '', y = ''] = [point.subarray(1, 33), point.subarray(33)].map((part) =>
    part.toString('base64url'),
  );
  const jwk = { kty: 'EC', crv: 'P-256', x, y, d: d.toString('base64url') };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** What OpenSSL writes. */
const written = ({ privateKey, publicKey }: KeyPair) => ({
  pem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  spki: publicKey.export({ type: 'spki', format: 'der' }),
});

describe('a key pair is written as OpenSSL writes it', () => {
  for (const [kind, make] of Object.entries(made)) {
    it(`${kind}: the public half alone`, () => {
      const keys = make();
      assert.deepEqual(Buffer.from(spkiOf(keys.publicKey)), written(keys).spki);
      assert.equal(spkiOf(keys.publicKey), spkiOf(keys.publicKey));
    });

    it(`${kind}: the private half, and the public one after it`, () => {
      const keys = make();
      assert.equal(keyPairToPem(keys).reveal(), written(keys).pem);
      assert.deepEqual(Buffer.from(spkiOf(keys.publicKey)), written(keys).spki);
    });
  }

  it('P-256 with numbers that begin with zeros', () => {
    for (let number = 1; number < 600; number += 1) {
      const keys = keysOf(number);
      assert.equal(keyPairToPem(keys).reveal(), written(keys).pem);
      assert.deepEqual(Buffer.from(spkiOf(keys.publicKey)), written(keys).spki);
    }
  });
});
