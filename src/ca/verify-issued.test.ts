// A certificate leaves only when every field says what was decided; a wrong one in any field is
// caught.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import type { LeafTemplate } from '#ca/signer.ts';
import { verifyIssued } from '#ca/verify-issued.ts';
import {
  buildCertificate,
  buildName,
  type CertificateTemplate,
  EMPTY_NAME,
  keyIdOf,
} from '#pki/build-certificate.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { encodeDer, octetString, oid, sequence, TRUE } from '#pki/der-write.ts';
import { leafExtensions, namesExtension, rootExtensions } from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { NO_NAMES } from '#pki/subject-alt-name.ts';

const HOUR_MS = 3_600_000;
const notBeforeAt = Date.UTC(2026, 0);
const notAfterAt = notBeforeAt + HOUR_MS;
const rootKeys = generateKeyPair();
const spkiOf = ({ publicKey }: typeof rootKeys) =>
  publicKey.export({ type: 'spki', format: 'der' });
const rootSpki = spkiOf(rootKeys);
const issuer = {
  name: buildName({ organization: 'cluster.local', commonName: 'root' }),
  privateKey: rootKeys.privateKey,
};
const spki = spkiOf(generateKeyPair());
const uri = 'spiffe://cluster.local/ns/a/sa/b';
const shared = leafExtensions(['serverAuth', 'clientAuth'], keyIdOf(rootSpki));
const names = namesExtension({ uris: [uri] });

const right: CertificateTemplate = {
  serial: '1f',
  notBeforeAt,
  notAfterAt,
  subject: EMPTY_NAME,
  spki,
  extensions: [names, shared],
};
const rootValidity = { notBeforeAt, notAfterAt: notAfterAt + HOUR_MS };
const rootTemplate = {
  ...right,
  ...rootValidity,
  subject: issuer.name,
  spki: rootSpki,
  extensions: [rootExtensions(keyIdOf(rootSpki))],
};
const root = parseCertificate(buildCertificate(rootTemplate, issuer));

const wanted: LeafTemplate = {
  serial: '1f',
  notBeforeAt,
  notAfterAt,
  names: { ...NO_NAMES, uris: [uri] },
  purposes: ['serverAuth', 'clientAuth'],
  publicKey: parsePublicKey(spki),
};
const verify = (changes: Partial<CertificateTemplate>, by = issuer) =>
  verifyIssued(buildCertificate({ ...right, ...changes }, by), wanted, root);

describe('an issued certificate', () => {
  it('is let out when it is what was wanted', () => {
    assert.equal(verify({}).serial, '1f');
  });

  const authority = encodeDer(
    sequence(oid('2.5.29.19'), TRUE, octetString(encodeDer(sequence(TRUE)))),
  );
  const unknown = encodeDer(sequence(oid('2.5.29.36'), TRUE, octetString('x')));
  const otherName = buildName({ organization: 'x', commonName: 'y' });
  const wrong: Readonly<Record<string, Partial<CertificateTemplate>>> = {
    serial: { serial: '20' },
    start: { notBeforeAt: notBeforeAt - 1000 },
    end: { notAfterAt: notAfterAt + 1000 },
    subject: { subject: otherName },
    'public key': { spki: spkiOf(generateKeyPair()) },
    'set of names': { extensions: [namesExtension({ uris: [`${uri}x`] }), shared] },
    'basic constraint': { extensions: [names, authority] },
    'key usage': { extensions: [names, withoutUsage()] },
    'extended key usage': {
      extensions: [names, leafExtensions(['serverAuth'], keyIdOf(rootSpki))],
    },
    'issuer key id': { extensions: [names, leafExtensions(wanted.purposes, '00'.repeat(20))] },
    'extension that is unknown': { extensions: [names, shared, unknown] },
  };
  for (const [field, changes] of Object.entries(wrong))
    it(`is held back with a wrong ${field}`, () => {
      const isCaught = (error: unknown) =>
        isBulwarkError(error, 'CA_SIGN_FAILED') && error.message.includes(` wrong ${field}`);
      assert.throws(() => verify(changes), isCaught);
    });

  for (const [what, more] of Object.entries({
    'a second URI': { uris: [uri, 'spiffe://cluster.local/ns/x/sa/admin'] },
    'a DNS name': { uris: [uri], dnsNames: ['a.b'] },
    'an IP address': { uris: [uri], ipAddresses: ['10.0.0.1'] },
  }))
    it(`is held back with ${what} beside its identity`, () => {
      const extensions = [namesExtension(more), shared];
      assert.throws(() => verify({ extensions }), /wrong set of names/);
    });

  it('is held back when another issuer stands in it', () => {
    assert.throws(() => verify({}, { ...issuer, name: otherName }), /wrong issuer/);
  });

  it('is held back when it outlives its issuer', () => {
    const end = rootValidity.notAfterAt + 1000;
    const der = buildCertificate({ ...right, notAfterAt: end }, issuer);
    assert.throws(() => verifyIssued(der, { ...wanted, notAfterAt: end }, root), /wrong end/);
  });

  it('is held back when it does not read', () => {
    const isCaught = (error: unknown) => isBulwarkError(error, 'CA_SIGN_FAILED');
    assert.throws(() => verifyIssued(Uint8Array.of(1, 2, 3), wanted, root), isCaught);
  });
});

/**
 * The extensions of a leaf but the key usage: a SEQUENCE that begins with its object identifier.
 */
function withoutUsage(): Uint8Array {
  const id = oid('2.5.29.15');
  assert.equal(Buffer.from(shared).indexOf(id), 2);
  return shared.subarray(2 + (shared[1] ?? 0));
}
