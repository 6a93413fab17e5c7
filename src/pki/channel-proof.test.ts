// Who has the key of a certificate can prove it on a connection that others share, and on no other.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { buildCertificate, buildName, EMPTY_NAME, keyIdOf } from '#pki/build-certificate.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { proveOnChannel, verifyOnChannel } from '#pki/channel-proof.ts';
import {
  leafExtensions,
  namesExtension,
  rootExtensions,
  type TlsPurpose,
} from '#pki/extensions.ts';
import { generateKeyPair, type KeyChoice, privateKeyToPem } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';

const AT = Date.UTC(2026, 5);
const DAY_MS = 86_400_000;
const BINDING = randomBytes(32);
const NAMES = namesExtension({ uris: ['spiffe://cluster.local/ns/shop/sa/web'] });

const rootKeys = generateKeyPair();
const rootName = buildName({ organization: 'test', commonName: 'root' });
const root = parseCertificate(
  certificate(rootKeys.publicKey, { subject: rootName, extensions: [rootExtensions(keyId())] }),
);

interface Own {
  readonly chainPem: string;
  readonly privateKeyPem: Secret<string>;
}

function keyId(): string {
  return keyIdOf(rootKeys.publicKey.export({ type: 'spki', format: 'der' }));
}

/** Signed by the root, DER. */
function certificate(
  publicKey: typeof rootKeys.publicKey,
  rest: Pick<Parameters<typeof buildCertificate>[0], 'subject' | 'extensions'>,
): Uint8Array {
  const template = {
    serial: randomBytes(8).toString('hex'),
    notBeforeAt: AT - DAY_MS,
    notAfterAt: AT + DAY_MS,
    spki: publicKey.export({ type: 'spki', format: 'der' }),
    ...rest,
  };
  return buildCertificate(template, { name: rootName, privateKey: rootKeys.privateKey });
}

function workload(key: KeyChoice = 'P-256', purposes: readonly TlsPurpose[] = ['clientAuth']): Own {
  const { publicKey, privateKey } = generateKeyPair(key);
  const extensions = [leafExtensions(purposes, keyId()), NAMES];
  const der = certificate(publicKey, { subject: EMPTY_NAME, extensions });
  return { chainPem: encodePem('CERTIFICATE', der), privateKeyPem: privateKeyToPem(privateKey) };
}

function verify(proof: string, { binding = BINDING, roots = [root], at = AT } = {}) {
  return verifyOnChannel(proof, binding, { roots, at });
}

const fails = (text: RegExp) => (error: unknown) =>
  isBulwarkError(error) && text.test(error.message);

describe('the proof of a certificate', () => {
  for (const key of ['P-256', 'P-384', 'RSA-2048'] as const)
    it(`holds on its connection, by a key ${key}`, () => {
      const leaf = verify(proveOnChannel(BINDING, workload(key)));
      assert.deepEqual(leaf.names.uris, ['spiffe://cluster.local/ns/shop/sa/web']);
    });

  it('does not hold on another connection', () => {
    const proof = proveOnChannel(BINDING, workload());
    assert.throws(() => verify(proof, { binding: randomBytes(32) }), fails(/not proved here/));
  });

  it('does not hold by another key, nor for another certificate', () => {
    const [one, two] = [workload(), workload()];
    const stolen = { ...two, chainPem: one.chainPem };
    assert.throws(() => verify(proveOnChannel(BINDING, stolen)), fails(/not proved here/));
    const [signature] = proveOnChannel(BINDING, one).split('.');
    const [, leaf] = proveOnChannel(BINDING, two).split('.');
    assert.throws(() => verify(`${signature}.${leaf}`), fails(/not proved here/));
  });

  it('does not hold when the chain does not: foreign root, expired, not for clients', () => {
    const proof = proveOnChannel(BINDING, workload());
    assert.throws(() => verify(proof, { roots: [] }), fails(/no trusted root/));
    assert.throws(() => verify(proof, { at: AT + 2 * DAY_MS }), fails(/expired/));
    const server = proveOnChannel(BINDING, workload('P-256', ['serverAuth']));
    assert.throws(() => verify(server), fails(/clientAuth/));
  });

  it('is refused when it is none', () => {
    const [signature, leaf = ''] = proveOnChannel(BINDING, workload()).split('.');
    const many = [signature, ...Array.from({ length: 10 }, () => leaf)].join('.');
    for (const garbage of ['', '.', 'a', `${signature}`, `${signature}.`, '%.%', 'YQ.YQ', many])
      assert.throws(() => verify(garbage), fails(/./), garbage.slice(0, 20));
  });
});
