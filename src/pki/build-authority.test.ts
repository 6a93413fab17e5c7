// Authorities of every kind of key, bound to their trust domains: what we build means the same to
// OpenSSL and to another library as to ourselves.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { verifyChain } from '#pki/chain.ts';
import {
  type ChainAuthority,
  type ChainLeaf,
  makeAuthority,
  makeLeaf,
} from '../../test/kit/authority-chain.ts';
import { opensslVerify } from '../../test/kit/openssl.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';

const OWN = { uris: ['spiffe://cluster.local/ns/a/sa/b'] };
const bound = (parent?: ChainAuthority) =>
  makeAuthority({ trustDomains: ['cluster.local'] }, parent);

/** What we and the `openssl` command say of a chain. */
async function verifies(
  t: Parameters<typeof opensslVerify>[0],
  leaf: ChainLeaf,
  above: readonly ChainAuthority[],
): Promise<{ ours: string; openssl: string }> {
  const [root] = above.slice(-1);
  assert.ok(root);
  const between = above.slice(0, -1);
  const intermediates = between.map(({ pem }) => pem);
  const openssl = await opensslVerify(t, { leaf: leaf.pem, intermediates, roots: [root.pem] });
  try {
    verifyChain({
      leaf: leaf.certificate,
      intermediates: between.map(({ certificate }) => certificate),
      roots: [root.certificate],
      at: Date.now(),
      purposes: ['serverAuth'],
    });
    return { ours: 'ok', openssl };
  } catch (error) {
    assert.ok(isBulwarkError(error, 'PKI_VERIFY_FAILED'));
    return { ours: error.message, openssl };
  }
}

describe('an authority with a key', () => {
  for (const choice of ['P-256', 'P-384', 'RSA-2048'] as const)
    it(`of ${choice} signs what OpenSSL and another library verify`, async (t) => {
      const root = makeAuthority({ choice });
      const child = makeAuthority({ choice, pathLength: 0 }, root);
      const leaf = makeLeaf(child, OWN);
      const said = await verifies(t, leaf, [child, root]);
      assert.deepEqual(said, { ours: 'ok', openssl: 'ok' });
      const publicKey = await new x509.X509Certificate(child.certificate.der).publicKey.export();
      const made = new x509.X509Certificate(leaf.certificate.der);
      assert.equal(await made.verify({ publicKey, signatureOnly: true }), true);
      const other = await verifies(t, leaf, [makeAuthority({ choice }), root]);
      assert.notEqual(other.ours, 'ok');
      assert.notEqual(other.openssl, 'ok');
    });
});

describe('an authority that is bound to a trust domain', () => {
  it('says so in a critical extension that another library reads', () => {
    const { der } = bound().certificate;
    const found = new x509.X509Certificate(der).getExtension('2.5.29.30');
    assert.equal(found?.critical, true);
    assert.match(Buffer.from(found?.value ?? []).toString('latin1'), /cluster\.local/);
  });

  const other = { uris: ['spiffe://other.example/ns/a/sa/b'] };
  const below = { uris: ['spiffe://sub.cluster.local/ns/a/sa/b'] };
  const server = { dnsNames: ['istiod.istio-system.svc'], ipAddresses: ['127.0.0.1', '::1'] };
  it('signs identities of it, and the names of servers, directly and below', async (t) => {
    const root = bound();
    const child = makeAuthority({ trustDomains: [] }, root);
    for (const names of [OWN, server]) {
      const direct = await verifies(t, makeLeaf(root, names), [root]);
      assert.deepEqual(direct, { ours: 'ok', openssl: 'ok' });
      const through = await verifies(t, makeLeaf(child, names), [child, root]);
      assert.deepEqual(through, { ours: 'ok', openssl: 'ok' });
    }
  });

  it('signs no identity of another, nor of a domain below, that anybody takes', async (t) => {
    const root = bound();
    const child = makeAuthority({ trustDomains: [] }, root);
    const free = makeAuthority({ trustDomains: [] });
    const paths = [[root], [child, root], [bound(free), free]] as const;
    for (const names of [other, below])
      for (const above of paths) {
        const said = await verifies(t, makeLeaf(above[0], names), above);
        assert.match(said.ours, /do not permit spiffe:/);
        assert.match(said.openssl, /permitted subtree violation/);
      }
  });

  it('may be bound to several', async (t) => {
    const root = makeAuthority({ trustDomains: ['cluster.local', 'other.example'] });
    for (const names of [OWN, other])
      assert.equal((await verifies(t, makeLeaf(root, names), [root])).openssl, 'ok');
    assert.notEqual((await verifies(t, makeLeaf(root, below), [root])).ours, 'ok');
  });

  it('is not bound where the domain is no host name that verifiers would take', () => {
    for (const domain of ['10.0.0.1', '.local', 'a..b'])
      assert.equal(
        makeAuthority({ trustDomains: [domain] }).certificate.nameConstraints,
        undefined,
        domain,
      );
  });
});
