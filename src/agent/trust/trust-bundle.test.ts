import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examineBundle } from '#agent/trust/trust-bundle.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { crlOf, makeAuthority, makeLeaf } from '../../../test/kit/authority-chain.ts';
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
    isAuthorityRevoked: false,
  });
});

test('a list that would end every handshake is refused', () => {
  const refused = (crlPem: string, why: RegExp, roots = authority.root): void =>
    assert.throws(() => examine(crlPem, roots), { code: 'AGENT_TRUST_REFUSED', message: why });
  const now = Date.now();
  refused(other.crl(['ab']), /an authority has no revocation list/);
  refused(testAuthority().crl(['ab']), /no authority of that name has signed/);
  refused(
    authority.crl([], { thisUpdateAt: now - 2 * DAY_MS, nextUpdateAt: now - DAY_MS }),
    /expired/,
  );
  refused(authority.crl([], { thisUpdateAt: now + DAY_MS }), /from the future/);
  refused('rubbish', /does not parse/);
  refused(authority.crl([]), /an authority has no revocation list/, authority.root + other.root);
  const both = authority.crl([serial]) + other.crl([]);
  assert.equal(examine(both, authority.root + other.root).isRevoked, true);
});

test('below an intermediate its list is needed, and those above it when they are looked for', () => {
  const root = makeAuthority();
  const middle = makeAuthority({}, root);
  const stranger = makeAuthority();
  const leaf = makeLeaf(middle, { uris: ['spiffe://cluster.local/ns/a/sa/b'] });
  const own = { chainPem: `${leaf.pem}${middle.pem}`, at };
  const standing = (crlPem: string, isLeafOnly: boolean) =>
    examineBundle({ rootsPem: root.pem, crlPem, isLeafOnly }, own);
  const missing = { message: /an authority has no revocation list/ };
  const [good, strange] = [crlOf(middle, []), crlOf(stranger, ['ab'])];
  assert.equal(standing(crlOf(middle, [leaf.certificate.serial]), true).isRevoked, true);
  assert.equal(standing(good + strange, true).isRevoked, false);
  assert.throws(() => standing(crlOf(root, []), true), missing);
  assert.throws(() => standing(good, false), missing);
  assert.equal(standing(good + crlOf(root, []), false).isRevoked, false);
  const ofMiddle = crlOf(root, [middle.certificate.serial]);
  const { isRevoked, isAuthorityRevoked } = standing(good + ofMiddle, false);
  assert.deepEqual([isRevoked, isAuthorityRevoked], [true, true], 'its authority is');
});
