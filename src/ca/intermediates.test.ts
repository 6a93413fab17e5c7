// Authorities below this one: only for who is named, and bound so that they cannot do more.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { CertificateAttestor } from '#ca/attestation/certificate.ts';
import { Intermediates } from '#ca/intermediates.ts';
import { KeySigner } from '#ca/key-signer.ts';
import { encodeSiteReport } from '#ca/sites/site-report.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import type { PemText } from '#pki/pem.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { makeAuthority, makeLeaf } from '../../test/kit/authority-chain.ts';
import { CALLER, openCsrService, refused } from '../../test/kit/csr-service.ts';
import { opensslVerify } from '../../test/kit/openssl.ts';
import { TEST_TRUST_DOMAIN } from '../../test/kit/test-root.ts';

const OWN = 'spiffe://cluster.local/ns/a/sa/b';
const metadata = { BulwarkAuthority: 'intermediate' };
const denied = refused(GRPC_STATUS.permissionDenied, /may not have an authority/);

describe('a server that is named as an authority below', () => {
  it('gets a certificate that signs for the mesh and for nobody else', async (t) => {
    const { ask, records, counted, said } = await openNamed(t);
    const keys = generateKeyPair();
    const chain = await ask({ csr: buildCsr(CALLER, keys), metadata });
    const [certificate, root] = chain.flatMap((pem) => parseCertificatesPem(pem));
    assert.ok(certificate && root && chain.length === 2);
    assert.deepEqual([certificate.isCa, certificate.pathLength], [true, 0]);
    assert.deepEqual(certificate.nameConstraints?.permitted.uriHosts, ['cluster.local']);
    const below = { certificate, keys, pem: '' as PemText };
    const verify = (uri: string, intermediates = [certificate]) => {
      const leaf = makeLeaf(below, { uris: [uri] }).certificate;
      const at = systemClock.now();
      return verifyChain({ leaf, intermediates, roots: [root], at, purposes: ['clientAuth'] });
    };
    assert.equal(verify(OWN).length, 3);
    assert.throws(() => verify('spiffe://other.example/ns/a/sa/b'), /PKI_|permit|constraint/i);
    const [{ proof, identity, serial } = assert.fail('no record')] = records;
    assert.deepEqual([identity, serial], [CALLER, certificate.serial]);
    assert.match(proof, /^intermediate authority: /);
    assert.equal(await counted('bulwark_ca_intermediates_issued_total'), 1);
    assert.ok(said('an authority below this one was certified'));
  });

  it('cannot make an authority of its own, by the eyes of OpenSSL too', async (t) => {
    const { ask } = await openNamed(t);
    const keys = generateKeyPair();
    const [pem = '', rootPem = ''] = await ask({ csr: buildCsr(CALLER, keys), metadata });
    const [certificate = assert.fail()] = parseCertificatesPem(pem);
    const parent = { certificate, keys, pem: pem as PemText };
    const good = makeLeaf(parent, { uris: [OWN] });
    const deeper = makeAuthority({ trustDomains: ['cluster.local'] }, parent);
    const bad = makeLeaf(deeper, { uris: [OWN] });
    const trust = { roots: [rootPem], at: systemClock.now() };
    assert.equal(await opensslVerify(t, { leaf: good.pem, intermediates: [pem], ...trust }), 'ok');
    const intermediates = [deeper.pem, pem];
    const verdict = await opensslVerify(t, { leaf: bad.pem, intermediates, ...trust });
    assert.match(verdict, /path length/);
  });

  it('is told the roots alone when it asks for those', async (t) => {
    const { ask, issuer, records, heard } = await openNamed(t);
    const report = { trusted: ['ab'], standsOn: ['ab'], missingCount: 0, missing: [] };
    const BulwarkSite = encodeSiteReport(report);
    for (const site of [{}, { BulwarkSite }]) {
      const chain = await ask({ metadata: { BulwarkAuthority: 'roots', ...site } });
      assert.deepEqual(chain, [issuer.trustBundle]);
    }
    assert.equal(records.length, 0);
    assert.deepEqual(heard, [undefined, report]);
    const bad = { BulwarkAuthority: 'roots', BulwarkSite: '{' };
    await assert.rejects(ask({ metadata: bad }), refused(GRPC_STATUS.invalidArgument, /./));
  });

  it('gets its own certificate without that wish', async (t) => {
    const { ask } = await openNamed(t);
    const [pem = ''] = await ask({ csr: buildCsr(CALLER, generateKeyPair()) });
    assert.equal(parseCertificatesPem(pem)[0]?.isCa, false);
  });
});

describe('no authority below is certified', () => {
  it('for a caller that is not named, which is logged and counted', async (t) => {
    const { ask, lines, counted, records } = await openCsrService(t);
    const csr = buildCsr(CALLER, generateKeyPair());
    for (const BulwarkAuthority of ['intermediate', 'roots'])
      await assert.rejects(ask({ csr, metadata: { BulwarkAuthority } }), denied);
    assert.equal(records.length, 0);
    assert.ok(lines.some((line) => line.includes('certificate refused')));
    const counter = 'citadel_server_csr_sign_err_count{error="INTERMEDIATE_REFUSED"}';
    assert.equal(await counted(counter), 2);
  });

  it('for a revoked caller, an unknown wish, or without a request that proves its key', async (t) => {
    const revoked = await openCsrService(t, undefined, {
      authorities: [CALLER],
      isRevoked: () => true,
    });
    const csr = buildCsr(CALLER, generateKeyPair());
    const isUnknown = refused(GRPC_STATUS.unauthenticated, /authenticate failure/);
    await assert.rejects(revoked.ask({ csr, metadata }), isUnknown);
    const { ask } = await openNamed(t);
    const isInvalid = refused(GRPC_STATUS.invalidArgument, /not acceptable|not properly/);
    await assert.rejects(ask({ csr, metadata: { BulwarkAuthority: 'root' } }), isInvalid);
    await assert.rejects(ask({ csr, metadata: { BulwarkAuthority: 1 } }), isInvalid);
    await assert.rejects(ask({ csr: 'x', metadata }), isInvalid);
  });

  it('for a certificate that an authority below has made, whoever it names', async (t) => {
    const { ask, issuer, heard } = await openCsrService(t, undefined, {
      authorities: [CALLER],
      attestors: (clock) => [
        new CertificateAttestor(
          { trustDomain: TEST_TRUST_DOMAIN, trustDomains: [TEST_TRUST_DOMAIN] },
          { clock, accountExists: async () => true, isRevoked: () => false },
        ),
      ],
    });
    const keys = generateKeyPair();
    const csr = buildCsr(CALLER, generateKeyPair());
    const [pem = ''] = await ask({ csr: buildCsr(CALLER, keys), metadata });
    const [certificate = assert.fail()] = parseCertificatesPem(pem);
    const forged = makeLeaf({ certificate, keys, pem: pem as PemText }, { uris: [CALLER] });
    const as = (der: Uint8Array) => ask({ csr, metadata, certificate: der, authorization: '' });
    const isForeign = refused(GRPC_STATUS.permissionDenied, /not from this server itself/);
    await assert.rejects(as(forged.certificate.der), isForeign);
    const look = { metadata: { BulwarkAuthority: 'roots' }, authorization: '' };
    await ask({ ...look, certificate: forged.certificate.der });
    assert.deepEqual(heard, [], 'nobody speaks for another site');
    const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
    const publicKey = parsePublicKey(spki);
    const own = await issuer.issueForWorkload({ identity: CALLER, publicKey, ttlMs: 3_600_000 });
    assert.equal((await as(own.certificate.der)).length, 2);
    await ask({ ...look, certificate: own.certificate.der });
    assert.equal(heard.length, 1);
  });

  it('below an authority that may have none, or for a domain that cannot be bound', async () => {
    const root = makeAuthority({ pathLength: 1 });
    const last = makeAuthority({ pathLength: 0 }, root);
    const isRefused = (error: unknown) => isBulwarkError(error, 'CA_INTERMEDIATE_REFUSED');
    await assert.rejects(issueBelow([last.certificate, root.certificate], last.keys), isRefused);
    assert.ok(await issueBelow([root.certificate], root.keys));
    const isWrong = (error: unknown) => isBulwarkError(error, 'CA_SIGN_FAILED');
    const address = parseTrustDomain('10.0.0.1');
    await assert.rejects(issueBelow([root.certificate], root.keys, address), isWrong);
  });
});

async function openNamed(t: Parameters<typeof openCsrService>[0]) {
  const opened = await openCsrService(t, undefined, { authorities: [CALLER] });
  const said = (text: string): boolean => opened.lines.some((line) => line.includes(text));
  return { ...opened, said };
}

async function issueBelow(
  issuers: KeySigner['issuers'],
  { privateKey }: ReturnType<typeof generateKeyPair>,
  trustDomain = TEST_TRUST_DOMAIN,
) {
  const signer = new KeySigner({ issuers, privateKey });
  const identity = parseSpiffeId(`spiffe://${trustDomain}/ns/a/sa/b`);
  const intermediates = new Intermediates(
    { identities: new Set([identity]), trustDomains: [trustDomain], ttlMs: 3_600_000 },
    {
      signer: () => signer,
      trustBundle: () => '' as PemText,
      sites: { certified: async () => {}, heard: () => {} },
      lists: { exchange: async () => '' },
      roots: () => [],
      clock: systemClock,
      log: silentLogger,
      random: systemRandom,
    },
  );
  const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
  const { signal } = new AbortController();
  return intermediates.issue({ identity, publicKey: parsePublicKey(spki), lists: '', signal });
}
