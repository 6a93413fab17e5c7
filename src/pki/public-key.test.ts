// Keys of known kinds and enough strength are taken, others are refused with a reason.
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { bitString, encodeDer, NULL, oid, sequence, unsignedInteger } from '#pki/der-write.ts';
import { spkiOf } from '#pki/key-export.ts';
import { OID } from '#pki/object-ids.ts';
import { importPublicKey, parsePublicKey } from '#pki/public-key.ts';

const exported = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const ec = (namedCurve: string, paramEncoding: 'named' | 'explicit' = 'named'): Buffer =>
  exported(generateKeyPairSync('ec', { namedCurve, paramEncoding }).publicKey);

/** An RSA key made of nothing but its numbers. */
function rsa(modulus: Uint8Array, exponent: readonly number[]): Uint8Array {
  const key = encodeDer(
    sequence(unsignedInteger(modulus), unsignedInteger(Uint8Array.from(exponent))),
  );
  return encodeDer(sequence(sequence(oid(OID.rsaEncryption), NULL), bitString(key)));
}

const modulusOf = (bits: number): Uint8Array => {
  const modulus = new Uint8Array(bits / 8).fill(0xff);
  modulus[0] = 0x80;
  return modulus;
};

describe('a public key is taken', () => {
  const taken = {
    'P-256': ec('P-256'),
    'P-384': ec('P-384'),
    Ed25519: exported(generateKeyPairSync('ed25519').publicKey),
    RSA: exported(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey),
  };
  for (const [kind, spki] of Object.entries(taken))
    it(`of kind ${kind}`, () => {
      const read = parsePublicKey(spki);
      assert.equal(read.kind, kind);
      const { key } = importPublicKey(read);
      assert.ok(typeof key !== 'string');
      assert.deepEqual(spkiOf(key), spki);
    });

  it('of RSA up to 8192 bits', () => {
    assert.equal(parsePublicKey(rsa(modulusOf(8192), [1, 0, 1])).kind, 'RSA');
    assert.equal(parsePublicKey(rsa(modulusOf(2048), [3])).kind, 'RSA');
  });
});

describe('a public key is refused', () => {
  const p256 = ec('P-256');
  const compressed = Buffer.concat([
    Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
    Buffer.of(2),
    p256.subarray(27, 59),
  ]);
  const infinity = Buffer.from('3019301306072a8648ce3d020106082a8648ce3d03010703020000', 'hex');
  const refused = {
    'on P-521': ec('P-521'),
    'on secp256k1': ec('secp256k1'),
    'on a curve without a name': ec('P-256', 'explicit'),
    'with a compressed point': compressed,
    'at infinity': infinity,
    'of kind Ed448': exported(generateKeyPairSync('ed448').publicKey),
    'of kind X25519': exported(generateKeyPairSync('x25519').publicKey),
    'of kind RSA-PSS': exported(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey),
    'of RSA with 2040 bits': rsa(modulusOf(2040), [1, 0, 1]),
    'of RSA with 8200 bits': rsa(modulusOf(8200), [1, 0, 1]),
    'of RSA with exponent 1': rsa(modulusOf(2048), [1]),
    'of RSA with an even exponent': rsa(modulusOf(2048), [1, 0, 0]),
    'of RSA with an exponent of 5 bytes': rsa(modulusOf(2048), [1, 0, 0, 0, 1]),
  };
  for (const [what, spki] of Object.entries(refused))
    it(what, () => {
      assert.throws(
        () => parsePublicKey(spki),
        (error: unknown) => isBulwarkError(error, 'PKI_UNSUPPORTED'),
      );
    });

  it('beside its curve, when it is used', () => {
    const beside = Buffer.concat([p256.subarray(0, 27), Buffer.alloc(64, 1)]);
    const isMalformed = (error: unknown) => isBulwarkError(error, 'PKI_MALFORMED');
    assert.throws(() => importPublicKey(parsePublicKey(beside)), isMalformed);
  });

  it('with something after it', () => {
    for (const spki of [p256, ec('P-384'), rsa(modulusOf(2048), [3])]) {
      const longer = Buffer.concat([spki, Buffer.of(0)]);
      assert.throws(
        () => parsePublicKey(longer),
        (error) => isBulwarkError(error, 'PKI_MALFORMED'),
      );
    }
  });
});
