// Authorities of every kind of key, bound to their trust domains: what we build means the same to
// OpenSSL and to another library as to ourselves.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { type AuthorityParent, buildAuthority } from '#pki/build-authority.ts';
import { buildCertificate, buildName, EMPTY_NAME } from '#pki/build-certificate.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';
import { leafExtensions, namesExtension } from '#pki/extensions.ts';
import { generateKeyPair, type KeyChoice, type KeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';
import { opensslVerify } from '../../test/kit/openssl.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';

const at = Date.UTC(2026, 5);
const HOUR_MS = 3_600_000;
const OWN = { uris: ['spiffe://cluster.local/ns/a/sa/b'] };
const DOMAIN = ['cluster.local'];

interface Authority extends Required<AuthorityParent> {
  readonly keys: KeyPair;
}

let serials = 0;
const serial = () => (++serials).toString(16);

interface Made {
  readonly choice?: KeyChoice;
  readonly trustDomains?: readonly string[];
  readonly pathLength?: number;
}

function authority(made: Made = {}, parent?: Authority): Authority {
  const { choice = 'P-256', trustDomains = DOMAIN, ...rest } = made;
  const keys = generateKeyPair(choice);
  const name = buildName({ organization: 'test', commonName: `authority ${serials}` });
  const validity = { notBeforeAt: at - HOUR_MS, notAfterAt: at + 2 * HOUR_MS };
  const { publicKey } = keys;
  const template = { serial: serial(), ...validity, name, publicKey, trustDomains, ...rest };
  const der = buildAuthority(template, parent ?? keys);
  return { keys, privateKey: keys.privateKey, certificate: parseCertificate(der) };
}

function leafOf(parent: Authority, names: Partial<SubjectAltNames> = OWN): Certificate {
  const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
  const { subjectKeyId, subject: name } = parent.certificate;
  const shared = leafExtensions(['serverAuth', 'clientAuth'], subjectKeyId);
  const validity = { notBeforeAt: at - HOUR_MS, notAfterAt: at + HOUR_MS };
  const extensions = [namesExtension(names), shared];
  const template = { serial: serial(), ...validity, subject: EMPTY_NAME, spki, extensions };
  return parseCertificate(buildCertificate(template, { name, privateKey: parent.privateKey }));
}

const pem = ({ der }: Certificate) => encodePem('CERTIFICATE', der);

/** What we and the `openssl` command say of a chain: true when both take it. */
async function verifies(
  t: Parameters<typeof opensslVerify>[0],
  leaf: Certificate,
  above: readonly Authority[],
): Promise<{ ours: string; openssl: string }> {
  const certificates = above.map(({ certificate }) => certificate);
  const [root] = certificates.slice(-1);
  assert.ok(root);
  const intermediates = certificates.slice(0, -1);
  const chain = { leaf: pem(leaf), intermediates: intermediates.map(pem), roots: [pem(root)], at };
  const openssl = await opensslVerify(t, chain);
  try {
    verifyChain({ leaf, intermediates, roots: [root], at, purpose: 'serverAuth' });
    return { ours: 'ok', openssl };
  } catch (error) {
    assert.ok(isBulwarkError(error, 'PKI_VERIFY_FAILED'));
    return { ours: error.message, openssl };
  }
}

describe('an authority with a key', () => {
  for (const choice of ['P-256', 'P-384', 'RSA-2048'] as const)
    it(`of ${choice} signs what OpenSSL and another library verify`, async (t) => {
      const root = authority({ choice });
      const child = authority({ choice, pathLength: 0 }, root);
      const leaf = leafOf(child);
      const said = await verifies(t, leaf, [child, root]);
      assert.deepEqual(said, { ours: 'ok', openssl: 'ok' });
      const publicKey = await new x509.X509Certificate(child.certificate.der).publicKey.export();
      const made = new x509.X509Certificate(leaf.der);
      assert.equal(await made.verify({ publicKey, signatureOnly: true }), true);
      const other = await verifies(t, leaf, [authority({ choice }), root]);
      assert.notEqual(other.ours, 'ok');
      assert.notEqual(other.openssl, 'ok');
    });
});

describe('an authority that is bound to a trust domain', () => {
  it('says so in a critical extension that another library reads', () => {
    const { der } = authority().certificate;
    const found = new x509.X509Certificate(der).getExtension('2.5.29.30');
    assert.equal(found?.critical, true);
    assert.match(Buffer.from(found?.value ?? []).toString('latin1'), /cluster\.local/);
  });

  const other = { uris: ['spiffe://other.example/ns/a/sa/b'] };
  const below = { uris: ['spiffe://sub.cluster.local/ns/a/sa/b'] };
  const server = { dnsNames: ['istiod.istio-system.svc'], ipAddresses: ['127.0.0.1', '::1'] };
  it('signs identities of it, and the names of servers, directly and below', async (t) => {
    const root = authority();
    const child = authority({ trustDomains: [] }, root);
    for (const names of [OWN, server]) {
      const direct = await verifies(t, leafOf(root, names), [root]);
      assert.deepEqual(direct, { ours: 'ok', openssl: 'ok' });
      const through = await verifies(t, leafOf(child, names), [child, root]);
      assert.deepEqual(through, { ours: 'ok', openssl: 'ok' });
    }
  });

  it('signs no identity of another, nor of a domain below, that anybody takes', async (t) => {
    const root = authority();
    const child = authority({ trustDomains: [] }, root);
    const free = authority({ trustDomains: [] });
    const paths = [[root], [child, root], [authority({}, free), free]] as const;
    for (const names of [other, below])
      for (const above of paths) {
        const said = await verifies(t, leafOf(above[0], names), above);
        assert.match(said.ours, /do not permit spiffe:/);
        assert.match(said.openssl, /permitted subtree violation/);
      }
  });

  it('may be bound to several', async (t) => {
    const root = authority({ trustDomains: ['cluster.local', 'other.example'] });
    for (const names of [OWN, other])
      assert.equal((await verifies(t, leafOf(root, names), [root])).openssl, 'ok');
    assert.notEqual((await verifies(t, leafOf(root, below), [root])).ours, 'ok');
  });

  it('is not bound where the domain is no host name that verifiers would take', () => {
    for (const domain of ['10.0.0.1', '.local', 'a..b'])
      assert.equal(
        authority({ trustDomains: [domain] }).certificate.nameConstraints,
        undefined,
        domain,
      );
  });
});
