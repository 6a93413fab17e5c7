// An authority made elsewhere: sound sets of every kind sign, and each thing that can be wrong has
// its own message.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { buildCertificate, buildName, keyIdOf } from '#pki/build-certificate.ts';
import { contextTag, element, octetString, oid, sequence, TRUE } from '#pki/der-write.ts';
import { leafExtensions, rootExtensions } from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { OID } from '#pki/object-ids.ts';
import { encodePem } from '#pki/pem.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { parseTrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { describeSigner } from '../../../test/contract/signer-contract.ts';
import { type ChainAuthority, makeAuthority } from '../../../test/kit/authority-chain.ts';
import {
  type CaFilesOptions,
  isCaProblem,
  makeCaFiles,
  parseTestCa,
  strangeKey,
  type TestCaFiles,
} from '../../../test/kit/ca-files.ts';
import { opensslVerify } from '../../../test/kit/openssl.ts';
import { x509 } from '../../../test/kit/peculiar-x509.ts';

const trustDomain = parseTrustDomain('cluster.local');
const HOUR_MS = 3_600_000;
const CONTRACT_AT = Date.UTC(2026, 0, 1, 12);

type FileChanges = Partial<TestCaFiles['files']>;

/** A set of two levels with some files changed. */
function changed(change: (set: TestCaFiles) => FileChanges, options: CaFilesOptions = {}) {
  const set = makeCaFiles({ levels: 2, ...options });
  return () => parseTestCa({ files: { ...set.files, ...change(set) } });
}

for (const levels of [0, 1, 3])
  describeSigner(`the key of a plugged-in authority ${levels} levels below its root`, {
    open: async (at) => {
      const validity = { notBeforeAt: at - HOUR_MS, notAfterAt: at + 48 * HOUR_MS };
      let one: ChainAuthority = makeAuthority(validity);
      const chain = [one];
      for (let level = 0; level < levels; level += 1) {
        one = makeAuthority(validity, one);
        chain.unshift(one);
      }
      const files = {
        certificate: one.pem,
        privateKey: one.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        chain: chain.map(({ pem }) => pem).join(''),
        root: chain.at(-1)?.pem,
        crl: undefined,
      };
      return parseTestCa({ files }, CONTRACT_AT).signer;
    },
  });

describe('a plugged-in authority', () => {
  for (const choice of ['P-256', 'P-384', 'RSA-2048'] as const)
    it(`of ${choice} issues chains that OpenSSL and another library verify`, async (t) => {
      const { signer, bundlePem } = parseTestCa(makeCaFiles({ choice, levels: 2 }));
      const issuer = new Issuer(
        { ttlMs: HOUR_MS, ttlMsMax: HOUR_MS },
        { signer: () => signer, clock: systemClock, random: systemRandom },
      );
      const names = { trustDomain, namespace: 'a', serviceAccount: 'b' };
      const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
      const { chain } = await issuer.issueForWorkload({
        identity: workloadSpiffeId(names),
        publicKey: parsePublicKey(spki),
        ttlMs: 0,
      });
      assert.equal(chain.length, 4);
      assert.equal(chain.at(-1), bundlePem);
      const [leaf = '', ...intermediates] = chain.slice(0, -1);
      assert.equal(await opensslVerify(t, { leaf, intermediates, roots: [bundlePem] }), 'ok');
      const above = new x509.X509Certificate(intermediates[0] ?? '');
      const made = new x509.X509Certificate(leaf);
      assert.equal(
        await made.verify({ publicKey: await above.publicKey.export(), signatureOnly: true }),
        true,
      );
    });

  it('may have its root at the end of the chain, or no chain at all', () => {
    const two = makeCaFiles({ levels: 2 });
    const whole = changed(({ files }) => ({ chain: `${files.chain}${files.root}` }))();
    assert.equal(whole.signer.issuers.length, 3);
    assert.equal(parseTestCa(two).signer.issuers.length, 3);
    const one = makeCaFiles({ levels: 1 });
    for (const chain of [undefined, ''])
      assert.equal(parseTestCa({ files: { ...one.files, chain } }).signer.issuers.length, 2);
  });

  it('may be trusted beside other roots; its own comes first', () => {
    const other = makeAuthority();
    const { roots } = changed(({ files }) => ({ root: `${other.pem}${files.root}` }))();
    assert.equal(roots.length, 2);
    assert.deepEqual(roots[1]?.der, other.certificate.der);
  });
});

describe('a plugged-in authority is refused', () => {
  const cases: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
    'whose root is garbage': [
      changed(() => ({ root: 'x' })),
      /^failed to parse root certificate \(root-cert.pem/,
    ],
    'without a root': [changed(() => ({ root: '' })), /failed to parse root certificate/],
    'whose chain is garbage': [
      changed(() => ({ chain: 'x' })),
      /failed to parse certificate chain \(cert-chain.pem/,
    ],
    'whose certificate is garbage': [
      changed(() => ({ certificate: 'x' })),
      /failed to parse CA certificate \(ca-cert.pem/,
    ],
    'with two certificates for its own': [
      changed(({ files }) => ({ certificate: `${files.certificate}${files.root}` })),
      /more than one.*cert-chain.pem/,
    ],
    'whose key is garbage': [
      changed(() => ({ privateKey: 'x' })),
      /invalid PEM-encoded key \(ca-key.pem/,
    ],
    'whose key is encrypted': [
      changed(() => ({ privateKey: encryptedKey() })),
      /invalid PEM-encoded key/,
    ],
    'with the key of another': [
      changed(() => ({ privateKey: strangeKey() })),
      /the private key and the certificate do not match: ca-key.pem/,
    ],
    'whose key is too weak': [
      changed(() => ({ privateKey: weakKey() })),
      /too weak.*RSA of at least 2048/,
    ],
    'with the root of another': [
      changed(() => ({ root: makeAuthority().pem })),
      /failed to verify certificate: no root in root-cert.pem has signed "O=test, CN=/,
    ],
    'with another root of the same name': [
      changed(({ authorities: [root] }) => ({
        root: makeAuthority({ commonName: commonNameOf(root) }).pem,
      })),
      /failed to verify certificate: the signature on .* is not by the authority of that name/,
    ],
    'with a root in the chain that is not trusted': [
      changed(({ files }) => ({ chain: `${files.chain}${makeAuthority().pem}` })),
      /at the end of cert-chain.pem is not in root-cert.pem/,
    ],
    'whose chain is in the wrong order': [
      changed(({ authorities }) => ({
        chain: authorities
          .slice(1)
          .map(({ pem }) => pem)
          .join(''),
      })),
      /cert-chain.pem is in the wrong order/,
    ],
    'whose chain misses the level above': [
      changed(({ files, authorities }) => ({
        chain: `${files.certificate}${makeAuthority({}, authorities[0]).pem}`,
      })),
      /cert-chain.pem has no certificate of the authority that signed/,
    ],
    'without its chain': [
      changed(() => ({ chain: undefined })),
      /no root in root-cert.pem has signed .*between them into cert-chain.pem/,
    ],
    'that has expired': [
      changed(() => ({}), { last: { notAfterAt: Date.now() - 1000 } }),
      /failed to verify certificate: "O=test.*" expired at 20/,
    ],
    'that is not valid yet': [
      changed(() => ({}), { last: { notBeforeAt: Date.now() + HOUR_MS } }),
      /is not valid before 20/,
    ],
    'whose root has expired': [
      changed(() => ({}), { root: { notAfterAt: Date.now() - 1000 } }),
      /expired at/,
    ],
    'below a root that allows fewer levels': [
      changed(() => ({}), { root: { pathLength: 1 } }),
      /allows 1 authorities below it, and there are 2/,
    ],
    'that is bound to another trust domain': [
      changed(() => ({}), { last: { trustDomains: ['other.example'] } }),
      /cannot sign for this mesh: the name constraints do not permit spiffe:\/\/cluster.local/,
    ],
    'that is bound to DNS names which leave out those of the control plane': [
      changed(boundToDnsName('corp.example')),
      /cannot sign for this mesh: the name constraints do not permit istiod.istio-system.svc/,
    ],
    'that is a leaf': [changed(leafInstead), /is not a CA/],
  };
  for (const [what, [run, pattern]] of Object.entries(cases))
    it(what, () => {
      assert.throws(run, isCaProblem(pattern));
    });

  it('but not when it is bound to this trust domain, or to DNS names of the control plane', () => {
    changed(boundToDnsName('istio-system.svc'))();
    changed(() => ({}), { last: { trustDomains: ['cluster.local'] }, root: { pathLength: 2 } })();
  });
});

function commonNameOf({ certificate }: ChainAuthority): string {
  return /authority \d+/.exec(Buffer.from(certificate.subject).toString('latin1'))?.[0] ?? '';
}

function encryptedKey(): string {
  const { privateKey } = generateKeyPair();
  const options = { cipher: 'aes-256-cbc', passphrase: 'secret' };
  return privateKey.export({ type: 'pkcs8', format: 'pem', ...options }) as string;
}

function weakKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** The certificate of the same key and name, signed by the same, without CA:TRUE. */
function leafInstead({ authorities, files }: TestCaFiles): FileChanges {
  const [signer, parent] = [...authorities].reverse();
  assert.ok(signer && parent);
  const { spki } = signer.certificate;
  const der = buildCertificate(
    {
      serial: '77',
      notBeforeAt: Date.now() - HOUR_MS,
      notAfterAt: Date.now() + HOUR_MS,
      subject: buildName({ organization: 'test', commonName: 'leaf' }),
      spki,
      extensions: [leafExtensions(['serverAuth', 'clientAuth'], keyIdOf(parent.certificate.spki))],
    },
    { name: parent.certificate.subject, privateKey: parent.keys.privateKey },
  );
  const certificate = encodePem('CERTIFICATE', der);
  const above = (files.chain ?? '').slice((files.certificate ?? '').length);
  return { certificate, chain: `${certificate}${above}` };
}

/** The same authority, but with a constraint on DNS names. */
function boundToDnsName(name: string) {
  return ({ authorities, files }: TestCaFiles): FileChanges => {
    const [signer, parent] = [...authorities].reverse();
    assert.ok(signer && parent);
    const { serial, notBeforeAt, notAfterAt, subject, spki } = signer.certificate;
    const subtree = sequence(element(contextTag(2, 'primitive'), name));
    const value = sequence(element(contextTag(0, 'constructed'), subtree));
    const constraint = sequence(oid(OID.nameConstraints), TRUE, octetString(value));
    const extensions = [rootExtensions(keyIdOf(spki)), constraint];
    const template = { serial, notBeforeAt, notAfterAt, subject, spki, extensions };
    const { privateKey } = parent.keys;
    const der = buildCertificate(template, { name: parent.certificate.subject, privateKey });
    const certificate = encodePem('CERTIFICATE', der);
    const above = (files.chain ?? '').slice((files.certificate ?? '').length);
    return { certificate, chain: `${certificate}${above}` };
  };
}
