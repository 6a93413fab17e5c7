import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findRenewalReason, renewalTime } from '#agent/secrets/renewal.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { Secret } from '#base/secret.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';

/** Dated back two minutes, obtained at 1,000,000, good for 100 s from then. */
const SECRET: WorkloadSecret = {
  identity: parseSpiffeId('spiffe://cluster.local/ns/a/sa/b'),
  privateKeyPem: new Secret(''),
  chainPem: '',
  rootsPem: '',
  serial: '1',
  notBeforeAt: 880_000,
  notAfterAt: 1_100_000,
  obtainedAt: 1_000_000,
};

function reasonAt(now: number, secret: WorkloadSecret | undefined = SECRET): string | undefined {
  return findRenewalReason({ secret, renewAt: 1_050_000, now })?.reason;
}

describe('renewal', () => {
  it('is due at half of the time that was left, a twentieth of it sooner or later', () => {
    assert.equal(renewalTime(SECRET, 0.5), 1_050_000);
    assert.equal(renewalTime(SECRET, 0), 1_045_000);
    assert.equal(Math.round(renewalTime(SECRET, 0.999999)), 1_055_000);
  });

  it('has a reason for each way in which a certificate is of no use, the worst first', () => {
    assert.equal(findRenewalReason({ secret: undefined, renewAt: 0, now: 1 })?.reason, 'Missing');
    assert.equal(reasonAt(1_100_001), 'Expired');
    assert.equal(reasonAt(879_999), 'NotYetValid');
    assert.equal(reasonAt(1_050_000), 'NearsExpiry');
  });

  it('is not due before', () => {
    assert.equal(reasonAt(1_000_000), undefined);
    assert.equal(reasonAt(1_049_999), undefined);
  });
});
