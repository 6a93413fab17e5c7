import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CertificateRevocation } from '#api/kinds/certificate-revocation.ts';
import { LIMITS } from '#base/limits.ts';
import { Revocations } from '#model/revocations.ts';

const IDENTITY = 'spiffe://cluster.local/ns/web/sa/thief';

function revocation(name: string, spec: CertificateRevocation['spec'], second = 0) {
  return {
    apiVersion: 'bulwark.mesh/v1alpha1',
    kind: 'CertificateRevocation',
    metadata: {
      name,
      uid: `uid-${name}`,
      creationTimestamp: new Date(second * 1000).toISOString(),
    },
    spec,
  };
}

test('a serial counts in whatever form it is written', () => {
  const revoked = Revocations.none().next([revocation('a', { serial: '00ABc1' })]);
  assert.ok(revoked.covers({ serial: 'abc1' }));
  assert.ok(!revoked.covers({ serial: 'abc' }));
  assert.ok(!revoked.covers({}));
});

test('an identity counts as it is, and no certificate of another', () => {
  const revoked = Revocations.none().next([revocation('a', { identity: IDENTITY })]);
  assert.ok(revoked.covers({ identity: IDENTITY, serial: '1' }));
  assert.ok(!revoked.covers({ identity: `${IDENTITY}2`, serial: '1' }));
});

test('the marker changes with each addition and with nothing else', () => {
  const [one, two] = [revocation('a', { serial: '1' }), revocation('b', { serial: '2' }, 9)];
  const first = Revocations.none().next([one]);
  const both = first.next([one, two]);
  assert.notEqual(first.marker, Revocations.none().marker);
  assert.notEqual(both.marker, first.marker);
  assert.equal(both.next([one]).marker, both.marker);
  assert.equal(both.next([]).marker, both.marker);
  assert.equal(
    both.next([{ ...two, spec: { serial: '2', reason: 'superseded' } }, one]).marker,
    both.marker,
  );
  assert.equal(Revocations.none().next([two, one]).marker, both.marker);
});

test('of too many the newest count', () => {
  const many = Array.from({ length: LIMITS.revocationsMax + 1 }, (_, index) =>
    revocation(`r${index}`, { serial: (index + 1).toString(16) }, index),
  );
  const revoked = Revocations.none().next(many);
  assert.equal(revoked.all.length, LIMITS.revocationsMax);
  assert.ok(!revoked.covers({ serial: '1' }));
  assert.ok(revoked.covers({ serial: '2' }));
});
