// Our revocation lists, read by three others: our own parser, @peculiar/x509, and openssl.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildCertificate, buildName, keyIdOf } from '#pki/build-certificate.ts';
import { buildCrl, type RevokedCertificate } from '#pki/build-crl.ts';
import { parseCrlsPem } from '#pki/crl.ts';
import { rootExtensions } from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
const DAY_MS = 86_400_000;
const keys = generateKeyPair();
const name = buildName({ organization: 'test', commonName: 'root' });
const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
const keyId = keyIdOf(spki);
const issuer = { name, keyId, privateKey: keys.privateKey };

function crlPem(revoked: readonly RevokedCertificate[]): string {
  const template = { number: 300, thisUpdateAt: AT, nextUpdateAt: AT + 7 * DAY_MS, revoked };
  return encodePem('X509 CRL', buildCrl(template, issuer));
}

const REVOKED: readonly RevokedCertificate[] = [
  { serial: 'abc', revokedAt: AT - DAY_MS, reason: 'keyCompromise' },
  { serial: `1${'f'.repeat(32)}`, revokedAt: AT, reason: 'unspecified' },
];

test('what was written is read', () => {
  const [crl] = parseCrlsPem(crlPem(REVOKED));
  assert.deepEqual(crl?.revokedSerials, ['abc', `1${'f'.repeat(32)}`]);
  assert.equal(crl?.thisUpdateAt, AT);
  assert.equal(crl?.number, 300n);
  assert.equal(crl?.nextUpdateAt, AT + 7 * DAY_MS);
  assert.deepEqual(Buffer.from(crl?.issuer ?? []), Buffer.from(name));
  assert.deepEqual(parseCrlsPem(crlPem([]))[0]?.revokedSerials, []);
});

test('@peculiar/x509 reads serials and reasons', () => {
  const crl = new x509.X509Crl(crlPem(REVOKED));
  const found = crl.entries.map(({ serialNumber, reason }) => [serialNumber, reason]);
  assert.deepEqual(found, [
    ['0abc', x509.X509CrlReason.keyCompromise],
    [`01${'f'.repeat(32)}`, undefined],
  ]);
});

test('openssl takes it for one of the issuer, also the empty one', (t) => {
  const root = buildCertificate(
    {
      serial: '1',
      notBeforeAt: AT - DAY_MS,
      notAfterAt: AT + 30 * DAY_MS,
      subject: name,
      spki,
      extensions: [rootExtensions(keyId)],
    },
    issuer,
  );
  const directory = temporaryDirectory(t);
  const file = (text: string, called: string): string => {
    writeFileSync(join(directory, called), text);
    return join(directory, called);
  };
  const ca = file(encodePem('CERTIFICATE', root), 'root.pem');
  for (const revoked of [REVOKED, []]) {
    const args = ['crl', '-in', file(crlPem(revoked), 'crl.pem'), '-CAfile', ca, '-noout', '-text'];
    const text = execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
    assert.match(text, /X509v3 CRL Number: *\n *(300|0x12C)/i);
    assert.match(text, revoked.length === 0 ? /No Revoked/ : /Key Compromise/);
  }
});
