// Certificates that we build are what we say for other implementations too, and what others build
// reads.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { buildCertificate, buildName, EMPTY_NAME, keyIdOf } from '#pki/build-certificate.ts';
import { isCertificateOfKey, parseCertificate, parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import {
  KEY_USAGE,
  LEAF_USAGE,
  leafExtensions,
  namesExtension,
  rootExtensions,
} from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { OID } from '#pki/object-ids.ts';
import { encodePem } from '#pki/pem.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';

const notBeforeAt = Date.UTC(2026, 0, 1);
const notAfterAt = Date.UTC(2049, 11, 31, 23, 59, 59);
const rootKeys = generateKeyPair();
const rootSpki = rootKeys.publicKey.export({ type: 'spki', format: 'der' });
const rootName = buildName({ organization: 'cluster.local', commonName: 'Bulwark root' });
const issuer = { name: rootName, privateKey: rootKeys.privateKey };
const leafKeys = generateKeyPair();
const uri = 'spiffe://cluster.local/ns/a/sa/b';

const root = buildCertificate(
  {
    serial: '1',
    notBeforeAt,
    notAfterAt: Date.UTC(2060, 0),
    subject: rootName,
    spki: rootSpki,
    extensions: [rootExtensions(keyIdOf(rootSpki))],
  },
  issuer,
);

function leaf(names: Partial<SubjectAltNames> = { uris: [uri] }, serial = '00ff01'): Uint8Array {
  const shared = leafExtensions(['serverAuth', 'clientAuth'], keyIdOf(rootSpki));
  const spki = leafKeys.publicKey.export({ type: 'spki', format: 'der' });
  const extensions = [namesExtension(names), shared];
  const validity = { notBeforeAt, notAfterAt };
  return buildCertificate({ serial, ...validity, subject: EMPTY_NAME, spki, extensions }, issuer);
}

describe('a leaf that we build', () => {
  it('is, for OpenSSL, signed by its root and what it should be', () => {
    const made = new X509Certificate(leaf());
    const its = new X509Certificate(root);
    assert.equal(made.verify(its.publicKey), true);
    assert.equal(made.checkIssued(its), true);
    assert.equal(made.ca, false);
    assert.equal(made.subjectAltName, `URI:${uri}`);
    assert.equal(made.serialNumber, 'FF01');
    assert.deepEqual(made.keyUsage, [OID.serverAuth, OID.clientAuth]);
    assert.equal(made.validFromDate.getTime(), notBeforeAt);
    assert.equal(made.validToDate.getTime(), notAfterAt);
    assert.equal(made.checkPrivateKey(leafKeys.privateKey), true);
  });

  it('has, for another implementation, exactly the extensions of the profile', async () => {
    const made = new x509.X509Certificate(leaf());
    assert.equal(
      await made.verify({ publicKey: await new x509.X509Certificate(root).publicKey.export() }),
      true,
    );
    assert.equal(made.subject, '');
    assert.deepEqual(
      Array.from(made.extensions, ({ type, critical }) => [type, critical]),
      [
        [OID.subjectAltName, true],
        [OID.keyUsage, true],
        [OID.extendedKeyUsage, false],
        [OID.basicConstraints, true],
        [OID.authorityKeyId, false],
      ],
    );
  });

  it('reads back', () => {
    const made = parseCertificate(leaf());
    assert.equal(made.serial, 'ff01');
    assert.deepEqual([made.notBeforeAt, made.notAfterAt], [notBeforeAt, notAfterAt]);
    assert.deepEqual(made.names.uris, [uri]);
    assert.deepEqual([made.isCa, made.pathLength, made.keyUsage], [false, undefined, LEAF_USAGE]);
    assert.deepEqual(made.extendedKeyUsage, [OID.serverAuth, OID.clientAuth]);
    assert.equal(made.authorityKeyId, keyIdOf(rootSpki));
    assert.deepEqual(made.unknownCritical, []);
    assert.equal(isCertificateOfKey(made, leafKeys.publicKey), true);
    assert.equal(isCertificateOfKey(made, rootKeys.publicKey), false);
  });

  it('can carry DNS names and IP addresses', () => {
    const names = { dnsNames: ['istiod.istio-system.svc'], ipAddresses: ['127.0.0.1', '::1'] };
    const made = new X509Certificate(leaf(names));
    assert.equal(made.checkHost('istiod.istio-system.svc'), 'istiod.istio-system.svc');
    assert.equal(made.checkIP('::1'), '::1');
    assert.equal(made.checkHost('other.istio-system.svc'), undefined);
  });
});

describe('a root that we build', () => {
  it('is, for OpenSSL, an authority that signed itself', () => {
    const made = new X509Certificate(root);
    assert.equal(made.ca, true);
    assert.equal(made.verify(made.publicKey), true);
    assert.match(made.subject, /O=cluster.local\nCN=Bulwark root/);
    assert.equal(made.validToDate.getTime(), Date.UTC(2060, 0));
  });

  it('reads back', () => {
    const [made] = parseCertificatesPem(encodePem('CERTIFICATE', root));
    assert.ok(made);
    assert.equal(made.isCa, true);
    assert.equal(made.subjectKeyId, keyIdOf(rootSpki));
    const usage = KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign | KEY_USAGE.crlSign;
    assert.equal(made.keyUsage, usage);
  });
});

describe('the identity of a certificate', () => {
  it('is its one URI name', () => {
    assert.equal(identityOfCertificate(parseCertificate(leaf())), uri);
  });

  const none = {
    'without names': [{ dnsNames: ['a.b'] }, 'PKI_VERIFY_FAILED'],
    'with two': [{ uris: [uri, 'spiffe://cluster.local/ns/x/sa/admin'] }, 'PKI_VERIFY_FAILED'],
    'that is no SPIFFE id': [{ uris: ['https://a.b/c'] }, 'SPIFFE_INVALID'],
    'of a whole trust domain': [{ uris: ['spiffe://cluster.local'] }, 'SPIFFE_INVALID'],
  } as const;
  for (const [what, [names, code]] of Object.entries(none))
    it(`is not found ${what}`, () => {
      const certificate = parseCertificate(leaf(names));
      assert.throws(
        () => identityOfCertificate(certificate),
        (error) => isBulwarkError(error, code),
      );
    });

  it('is not found in an authority', () => {
    const certificate = { ...parseCertificate(leaf()), isCa: true };
    const isRefused = (error: unknown) => isBulwarkError(error, 'PKI_VERIFY_FAILED');
    assert.throws(() => identityOfCertificate(certificate), isRefused);
  });
});

describe('a certificate of others', () => {
  it('reads with a subject, extensions that we do not know, and years from 2050 on', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '0badcafe',
      name: 'CN=somebody, O=elsewhere',
      notBefore: new Date(Date.UTC(2051, 1, 3)),
      notAfter: new Date(Date.UTC(2052, 1, 3)),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.Extension('1.2.3.4', true, Buffer.of(5, 0))],
    });
    const read = parseCertificate(new Uint8Array(made.rawData));
    assert.equal(read.serial, 'badcafe');
    assert.equal(read.notBeforeAt, Date.UTC(2051, 1, 3));
    assert.deepEqual(read.unknownCritical, ['1.2.3.4']);
    assert.equal(read.keyUsage, undefined);
  });

  it('is refused when an extension stands there twice', () => {
    const spki = leafKeys.publicKey.export({ type: 'spki', format: 'der' });
    const extensions = [
      namesExtension({ uris: [uri] }),
      namesExtension({ uris: ['spiffe://x/y'] }),
    ];
    const template = {
      serial: '1',
      notBeforeAt,
      notAfterAt,
      subject: EMPTY_NAME,
      spki,
      extensions,
    };
    const der = buildCertificate(template, issuer);
    const isMalformed = (error: unknown) => isBulwarkError(error, 'PKI_MALFORMED');
    assert.throws(() => parseCertificate(der), isMalformed);
  });
});
