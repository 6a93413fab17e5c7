// What a certificate says is decided by the authority alone, and a wrong one never leaves.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { ErrorCode } from '#base/error-codes.ts';
import { isBulwarkError } from '#base/errors.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { LeafTemplate, Signer } from '#ca/signer.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { OID } from '#pki/object-ids.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { createTestRoot, ROOT_TTL_MS, TEST_TRUST_DOMAIN } from '../../test/kit/test-root.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const BACKDATE_MS = 120_000;
const identity = workloadSpiffeId({
  trustDomain: TEST_TRUST_DOMAIN,
  namespace: 'a',
  serviceAccount: 'b',
});
const newKey = () =>
  parsePublicKey(generateKeyPair().publicKey.export({ type: 'spki', format: 'der' }));

/** An issuer over a real root; `wrap` may change what signs. */
async function open(test: TestContext, wrap: (signer: Signer) => Signer = (signer) => signer) {
  const clock = new FakeClock();
  const signer = wrap(new SelfSignedSigner(await createTestRoot(test, clock)));
  const options = { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS };
  const issuer = new Issuer(options, { signer: () => signer, clock, random: systemRandom });
  const issue = (ttlMs = 0) => issuer.issueForWorkload({ identity, publicKey: newKey(), ttlMs });
  return { clock, issuer, issue };
}

const failsWith = (code: ErrorCode, pattern: RegExp) => (error: unknown) =>
  isBulwarkError(error, code) && pattern.test(error.message);

describe('a certificate for a workload', () => {
  it('has the identity as its only name, both purposes, and comes with its root', async (t) => {
    const { clock, issuer, issue } = await open(t);
    const { certificate, chain } = await issue();
    assert.deepEqual(certificate.names.uris, [identity]);
    assert.deepEqual(certificate.names.dnsNames, []);
    assert.deepEqual(certificate.extendedKeyUsage, [OID.serverAuth, OID.clientAuth]);
    assert.equal(chain.length, 2);
    assert.equal(chain[1], issuer.trustBundle);
    const [leaf, root] = chain.flatMap(parseCertificatesPem);
    assert.ok(leaf && root);
    assert.deepEqual(leaf.der, certificate.der);
    const options = { leaf, intermediates: [], roots: [root], at: clock.now() };
    assert.equal(verifyChain({ ...options, purposes: ['clientAuth'] }).length, 2);
  });

  it('begins two minutes ago and lives as long as was asked, or by default', async (t) => {
    const { clock, issue } = await open(t);
    for (const [asked, given] of [
      [0, DAY_MS],
      [-5000, DAY_MS],
      [HOUR_MS, HOUR_MS],
      [90 * DAY_MS, 90 * DAY_MS],
    ] as const) {
      const { certificate } = await issue(asked);
      assert.equal(certificate.notBeforeAt, clock.now() - BACKDATE_MS);
      assert.equal(certificate.notAfterAt, clock.now() + given);
    }
  });

  it('is refused for a longer life than the longest', async (t) => {
    const { issue } = await open(t);
    const isTooLong = failsWith('CA_TTL_TOO_LONG', /2160h1s is greater than .* 2160h/);
    await assert.rejects(issue(90 * DAY_MS + 1000), isTooLong);
    await assert.rejects(issue(Number.MAX_VALUE), failsWith('CA_TTL_TOO_LONG', /./));
  });

  it('does not outlive the root', async (t) => {
    const { clock, issue } = await open(t);
    clock.advance(ROOT_TTL_MS - HOUR_MS);
    assert.equal((await issue()).certificate.notAfterAt, clock.now() + HOUR_MS);
  });

  it('is refused when the root is over', async (t) => {
    const { clock, issue } = await open(t);
    clock.advance(ROOT_TTL_MS);
    await assert.rejects(issue(), failsWith('CA_KEY_UNUSABLE', /expired/));
  });

  it('has a serial of 128 random bits that no other has', async (t) => {
    const { issue } = await open(t);
    const serials = new Set<string>();
    for (let count = 0; count < 200; count += 1) {
      const { serial } = (await issue()).certificate;
      assert.match(serial, /^1[0-9a-f]{32}$/);
      serials.add(serial);
    }
    assert.equal(serials.size, 200);
  });
});

describe('a certificate for a server', () => {
  it('has the names that were given, and is good for servers only', async (t) => {
    const { clock, issuer } = await open(t);
    const names = { dnsNames: ['istiod.istio-system.svc'], ipAddresses: ['127.0.0.1', '0::1'] };
    const request = { ...names, publicKey: newKey(), ttlMs: 2 * ROOT_TTL_MS };
    const { certificate } = await issuer.issueForServer(request);
    assert.deepEqual(certificate.names.dnsNames, names.dnsNames);
    assert.deepEqual(certificate.names.ipAddresses, ['127.0.0.1', '::1']);
    assert.deepEqual(certificate.names.uris, []);
    assert.deepEqual(certificate.extendedKeyUsage, [OID.serverAuth]);
    assert.equal(certificate.notAfterAt, clock.now() + ROOT_TTL_MS);
  });

  it('is refused for what is no name', async (t) => {
    const { issuer } = await open(t);
    for (const wrong of [
      { dnsNames: ['a b'], ipAddresses: [] },
      { dnsNames: [], ipAddresses: ['localhost'] },
    ]) {
      const request = { ...wrong, publicKey: newKey(), ttlMs: HOUR_MS };
      await assert.rejects(issuer.issueForServer(request), failsWith('PKI_MALFORMED', /is no/));
    }
  });
});

describe('a change of signers', () => {
  it('holds from the next certificate on, with the chain and the end of the new one', async (t) => {
    const clock = new FakeClock();
    const first = new SelfSignedSigner(await createTestRoot(t, clock));
    const second = new SelfSignedSigner(await createTestRoot(t, clock, HOUR_MS));
    let signer: Signer = first;
    const options = { ttlMs: DAY_MS, ttlMsMax: DAY_MS };
    const issuer = new Issuer(options, { signer: () => signer, clock, random: systemRandom });
    const issue = () => issuer.issueForWorkload({ identity, publicKey: newKey(), ttlMs: 0 });
    const before = (await issue()).certificate;
    assert.equal(before.authorityKeyId, first.issuers[0].subjectKeyId);
    signer = second;
    const { certificate, chain } = await issue();
    assert.equal(certificate.authorityKeyId, second.issuers[0].subjectKeyId);
    assert.equal(certificate.notAfterAt, clock.now() + HOUR_MS);
    assert.equal(chain.at(-1), issuer.trustBundle);
    assert.deepEqual(parseCertificatesPem(issuer.trustBundle)[0]?.der, second.issuers[0].der);
  });
});

describe('a signer that does wrong', () => {
  /** Signs something else than what it was given. */
  const signing = (change: (template: LeafTemplate) => LeafTemplate) => (signer: Signer) => ({
    issuers: signer.issuers,
    sign: (template: LeafTemplate) => signer.sign(change(template)),
  });

  it('gets nothing out that differs from what was decided', async (t) => {
    const { issue } = await open(
      t,
      signing((template) => ({ ...template, serial: '1' })),
    );
    await assert.rejects(issue(), failsWith('CA_SIGN_FAILED', /wrong serial/));
  });

  it('gets nothing out with a wrong signature, and is never asked again', async (t) => {
    let calls = 0;
    let isBroken = true;
    const { issue } = await open(t, (signer) => ({
      issuers: signer.issuers,
      async sign(template) {
        calls += 1;
        const der = Uint8Array.from(await signer.sign(template));
        const last = der.length - 1;
        if (isBroken) der[last] = (der[last] ?? 0) ^ 1;
        return der;
      },
    }));
    await assert.rejects(issue(), failsWith('CA_SIGN_FAILED', /signature .* does not verify/));
    isBroken = false;
    await assert.rejects(issue(), failsWith('CA_SIGN_FAILED', /signing has stopped/));
    assert.equal(calls, 1);
  });
});
