import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examineBundle } from '#agent/trust/trust-bundle.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';

const DAY_MS = 86_400_000;
const authority = testAuthority();
const other = testAuthority('other root');
const { certificate: chainPem } = authority.issue({ uris: ['spiffe://cluster.local/ns/a/sa/b'] });
const serial = parseCertificatesPem(chainPem)[0]?.serial ?? '';
const at = Date.now();

const examine = (crlPem: string, rootsPem = authority.root) =>
  examineBundle({ rootsPem, crlPem }, { chainPem, at });

test('a bundle without lists revokes nothing, one with a list what it names', () => {
  assert.equal(examine('').isRevoked, false);
  assert.equal(examine(authority.crl(['ab'])).isRevoked, false);
  assert.deepEqual(examine(authority.crl(['ab', serial])), {
    isTrusted: true,
    isCurrent: true,
    isRevoked: true,
  });
});

test('a list that would end every handshake is refused', () => {
  const refused = (crlPem: string, why: RegExp, roots = authority.root): void =>
    assert.throws(() => examine(crlPem, roots), { code: 'AGENT_TRUST_REFUSED', message: why });
  const now = Date.now();
  refused(other.crl(['ab']), /no root has signed/);
  refused(testAuthority().crl(['ab']), /no root has signed/);
  refused(authority.crl([], { thisUpdateAt: now - 2 * DAY_MS, nextUpdateAt: now - 1 }), /expired/);
  refused(authority.crl([], { thisUpdateAt: now + DAY_MS }), /from the future/);
  refused('rubbish', /does not parse/);
  refused(authority.crl([]), /a root has no revocation list/, authority.root + other.root);
  const both = authority.crl([serial]) + other.crl([]);
  assert.equal(examine(both, authority.root + other.root).isRevoked, true);
});
