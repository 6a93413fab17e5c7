import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import type { LeafTemplate, Signer } from '#ca/signer.ts';
import { verifyIssued } from '#ca/verify-issued.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { NO_NAMES } from '#pki/subject-alt-name.ts';

/** What the suite needs of an implementation. */
export interface SignerSubject {
  /** A signer that is ready, good for at least an hour from `at` on. */
  open(at: number, test: TestContext): Promise<Signer>;
}

const AT = Date.UTC(2026, 0, 1, 12);
const HOUR_MS = 3_600_000;

/** A template for a new key; the serial counts up. */
function template(changes: Partial<LeafTemplate> = {}): LeafTemplate {
  const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
  serials += 1;
  return {
    serial: `1${serials.toString(16).padStart(32, '0')}`,
    notBeforeAt: AT - 120_000,
    notAfterAt: AT + HOUR_MS,
    names: { ...NO_NAMES, uris: ['spiffe://cluster.local/ns/a/sa/b'] },
    purposes: ['serverAuth', 'clientAuth'],
    publicKey: parsePublicKey(spki),
    ...changes,
  };
}

let serials = 0;

/** What every Signer promises; each implementation runs it. */
export function describeSigner(name: string, subject: SignerSubject): void {
  describe(`${name} as a Signer`, () => {
    it('names the chain above its leaves, the issuer first and its root last', async (t) => {
      const { issuers } = await subject.open(AT, t);
      for (const [index, issuer] of issuers.entries()) {
        const above = new X509Certificate((issuers[index + 1] ?? issuer).der);
        assert.equal(new X509Certificate(issuer.der).verify(above.publicKey), true);
        assert.equal(issuer.isCa, true);
      }
    });

    it('signs what the template says and nothing else', async (t) => {
      const signer = await subject.open(AT, t);
      const names = { dnsNames: ['a.example'], ipAddresses: ['127.0.0.1', '::1'] };
      for (const wanted of [
        template(),
        template({ names: { ...NO_NAMES, ...names }, purposes: ['serverAuth'] }),
        template({ serial: '1' }),
        template({ serial: `7f${'0'.repeat(38)}` }),
      ])
        verifyIssued(await signer.sign(wanted), wanted, signer.issuers[0]);
    });

    it('signs with the key of its issuer, so that the chain verifies', async (t) => {
      const signer = await subject.open(AT, t);
      const leaf = parseCertificate(await signer.sign(template()));
      const [root] = signer.issuers.slice(-1);
      assert.ok(root);
      const options = { leaf, intermediates: signer.issuers, roots: [root], at: AT };
      for (const purpose of ['serverAuth', 'clientAuth'] as const)
        assert.equal(verifyChain({ ...options, purposes: [purpose] }).at(-1), root);
      const other = await subject.open(AT, t);
      const [foreign] = other.issuers.slice(-1);
      assert.ok(foreign);
      assert.throws(() => verifyChain({ ...options, roots: [foreign], purposes: ['serverAuth'] }));
    });

    it('signs many at once, each with its own key and serial', async (t) => {
      const signer = await subject.open(AT, t);
      const wanted = Array.from({ length: 50 }, () => template());
      const made = await Promise.all(wanted.map((one) => signer.sign(one)));
      for (const [index, der] of made.entries()) {
        const one = wanted[index];
        assert.ok(one);
        verifyIssued(der, one, signer.issuers[0]);
      }
    });
  });
}
