// Workloads bring keys of every accepted kind, authorities have theirs; what is issued verifies for
// OpenSSL and for another library, leaf first and root last.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { KeySigner } from '#ca/key-signer.ts';
import { buildCsr, parseCsrPem } from '#pki/csr.ts';
import { generateKeyPair, type KeyPair } from '#pki/keys.ts';
import { parseTrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { type AuthorityChanges, makeAuthority } from '../../test/kit/authority-chain.ts';
import { opensslVerify } from '../../test/kit/openssl.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';

const HOUR_MS = 3_600_000;
const identity = workloadSpiffeId({
  trustDomain: parseTrustDomain('cluster.local'),
  namespace: 'a',
  serviceAccount: 'b',
});

/** An issuer below an intermediate and a root, with the most that a workload may ask for. */
function open(choice: AuthorityChanges['choice'] = 'P-256', last: AuthorityChanges = {}) {
  const root = makeAuthority({ choice, trustDomains: ['cluster.local'] });
  const parent = makeAuthority({ choice, pathLength: 0, ...last }, root);
  const issuers = [parent.certificate, root.certificate] as const;
  const signer = new KeySigner({ issuers, privateKey: parent.keys.privateKey });
  const issuer = new Issuer(
    { ttlMs: 24 * HOUR_MS, ttlMsMax: 2160 * HOUR_MS },
    { signer: () => signer, clock: systemClock, random: systemRandom },
  );
  return (keys: KeyPair) => {
    const { publicKey } = parseCsrPem(buildCsr(identity, keys));
    return issuer.issueForWorkload({ identity, publicKey, ttlMs: 0 });
  };
}

const KEYS: Readonly<Record<string, () => KeyPair>> = {
  'P-256': () => generateKeyPair('P-256'),
  'P-384': () => generateKeyPair('P-384'),
  'RSA of 2048 bits': () => generateKeyPair('RSA-2048'),
  'RSA of 3072 bits': () => generateKeyPair('RSA-3072'),
  Ed25519: () => generateKeyPairSync('ed25519'),
};

describe('a certificate is issued', () => {
  for (const choice of ['P-256', 'P-384', 'RSA-2048'] as const) {
    const issue = open(choice);
    for (const [kind, make] of Object.entries(KEYS))
      it(`for a key of ${kind}, by an authority of ${choice}`, async (t) => {
        const keys = make();
        const { certificate, chain } = await issue(keys);
        const [leaf = '', intermediate = '', root = ''] = chain;
        assert.equal(chain.length, 3);
        const verified = { leaf, intermediates: [intermediate], roots: [root] };
        assert.equal(await opensslVerify(t, verified), 'ok');
        const made = new x509.X509Certificate(leaf);
        const publicKey = await new x509.X509Certificate(intermediate).publicKey.export();
        assert.equal(await made.verify({ publicKey, signatureOnly: true }), true);
        const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
        assert.deepEqual(Buffer.from(made.publicKey.rawData), spki);
        assert.deepEqual(certificate.names.uris, [identity]);
      });
  }

  it('for no longer than the intermediate lives', async () => {
    const notAfterAt = Math.floor((Date.now() + HOUR_MS) / 1000) * 1000;
    const issue = open('P-256', { notAfterAt });
    assert.equal((await issue(generateKeyPair())).certificate.notAfterAt, notAfterAt);
  });
});

describe('a request is refused', () => {
  it('for a key that is too weak to sign one', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    assert.throws(() => buildCsr(identity, weak), /too weak/);
    const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    assert.throws(() => buildCsr(identity, curve), /too weak or of an unknown kind/);
  });
});
