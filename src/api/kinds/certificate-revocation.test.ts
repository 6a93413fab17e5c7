// Rules of CertificateRevocation: each is met and broken.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Diagnostic } from '#api/diagnostic.ts';
import { certificateRevocation } from '#api/kinds/certificate-revocation.ts';
import { errorsOf } from '../../../test/kit/object-verdict.ts';

const kind = 'CertificateRevocation';
const identity = 'spiffe://cluster.local/ns/web/sa/thief';
const errors = (spec: object): string[] => errorsOf({ kind, spec });

test('it names one certificate or one identity', () => {
  assert.deepEqual(errors({ serial: '0aF3' }), []);
  assert.deepEqual(errors({ identity, reason: 'keyCompromise' }), []);
  assert.deepEqual(errorsOf({ kind }).length, 1);
  assert.deepEqual(errors({}), ['spec: Required value: one of serial and identity']);
  assert.deepEqual(errors({ serial: '1', identity }), [
    'spec.identity: Forbidden: only one of serial and identity',
  ]);
});

test('a serial is a hexadecimal number of at most 20 bytes, and not 0', () => {
  assert.deepEqual(errors({ serial: 'f'.repeat(40) }), []);
  for (const serial of ['', 'xyz', '0x12', '12:34', 'f'.repeat(41), '00'])
    assert.equal(errors({ serial }).length, 1, serial);
});

test('an identity is one of a workload', () => {
  for (const one of ['web', 'spiffe://cluster.local', 'spiffe://cluster.local/ns/web/sa/', '*'])
    assert.match(String(errors({ identity: one })), /must be spiffe:/, one);
});

test('whom a certificate was issued to stands beside a serial', () => {
  assert.deepEqual(errors({ serial: '1', issuedTo: identity }), []);
  assert.match(String(errors({ identity, issuedTo: identity })), /only beside a serial/);
  assert.match(String(errors({ serial: '1', issuedTo: 'web' })), /issuedTo: .*must be spiffe:/);
});

test('a reason is one of RFC 5280, the end a time', () => {
  assert.match(String(errors({ serial: '1', reason: 'because' })), /supported values: "unspec/);
  assert.deepEqual(errors({ serial: '1', notAfter: '2030-01-31T00:00:00Z' }), []);
  assert.equal(errors({ serial: '1', notAfter: 'tomorrow' }).length, 1);
});

test('what is revoked stays; the reason may change', () => {
  const metadata = { name: 'a' };
  const { apiVersion } = certificateRevocation;
  const object = (spec: object) => ({ apiVersion, kind, metadata, spec });
  const refused = (after: object): Diagnostic[] => {
    const found: Diagnostic[] = [];
    const before = object({ serial: '1' });
    certificateRevocation.checkChange?.(before, object(after), (one) => found.push(one));
    return found;
  };
  assert.deepEqual(refused({ serial: '1', reason: 'superseded' }), []);
  assert.deepEqual(
    refused({ serial: '2' }).map(({ field }) => field),
    ['spec.serial'],
  );
  assert.equal(refused({ identity }).length, 2);
});
