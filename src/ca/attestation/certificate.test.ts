// Who holds a workload certificate of ours gets another one of the same identity; nobody else does.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { CertificateAttestor } from '#ca/attestation/certificate.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { CALLER, openCsrService, refused } from '../../../test/kit/csr-service.ts';
import { TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';

const HOUR_MS = 3_600_000;
const isUnknown = refused(GRPC_STATUS.unauthenticated, /^request authenticate failure$/);
const FORMER = parseTrustDomain('former.example');

async function setUp(t: TestContext) {
  const revoked = new Set<string>();
  const accounts = new Set(['photo-ns/frontend']);
  const trust = { trustDomain: TEST_TRUST_DOMAIN, trustDomains: [TEST_TRUST_DOMAIN, FORMER] };
  const opened = await openCsrService(t, undefined, {
    isRevoked: (identity) => revoked.has(identity),
    attestors: (clock) => [
      new CertificateAttestor(trust, {
        clock,
        accountExists: async ({ namespace, serviceAccount }) =>
          accounts.has(`${namespace}/${serviceAccount}`),
        isRevoked: (serial) => revoked.has(serial),
      }),
    ],
  });
  const { ask, issuer, lines } = opened;
  const issue = async (identity: string) => {
    const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
    const request = { publicKey: parsePublicKey(spki), ttlMs: HOUR_MS };
    const id = parseSpiffeId(identity);
    return (await issuer.issueForWorkload({ identity: id, ...request })).certificate;
  };
  const renew = (der: Uint8Array, authorization = '') =>
    ask({ csr: buildCsr(CALLER, generateKeyPair()), certificate: der, authorization });
  const said = (text: string): boolean => lines.some((line) => line.includes(text));
  return { ...opened, revoked, accounts, issue, renew, said };
}

describe('a caller with a certificate of ours', () => {
  it('gets another one for the same identity, and it is in the journal', async (t) => {
    const { issue, renew, records } = await setUp(t);
    const old = await issue(CALLER);
    const [leaf] = (await renew(old.der)).flatMap((pem) => parseCertificatesPem(pem));
    assert.deepEqual(leaf?.names.uris, [CALLER]);
    assert.notEqual(leaf?.serial, old.serial);
    const [{ method, proof, serial } = assert.fail('no record')] = records;
    assert.deepEqual([method, proof, serial], ['certificate', old.serial, leaf?.serial]);
  });

  it('gets its own identity when it asks for another', async (t) => {
    const { issue, ask } = await setUp(t);
    const admin = parseSpiffeId('spiffe://cluster.local/ns/photo-ns/sa/admin');
    const csr = buildCsr(admin, generateKeyPair());
    const { der } = await issue(CALLER);
    const chain = await ask({ csr, certificate: der, authorization: '' });
    assert.deepEqual(parseCertificatesPem(chain[0] ?? '')[0]?.names.uris, [CALLER]);
  });

  it('gets the present trust domain when its certificate has an alias', async (t) => {
    const { issue, renew } = await setUp(t);
    const { der } = await issue('spiffe://former.example/ns/photo-ns/sa/frontend');
    const chain = await renew(der);
    assert.deepEqual(parseCertificatesPem(chain[0] ?? '')[0]?.names.uris, [CALLER]);
  });

  it('gets none when the certificate is over', async (t) => {
    const { issue, renew, clock, said } = await setUp(t);
    const { der } = await issue(CALLER);
    clock.advance(HOUR_MS);
    await assert.rejects(renew(der), isUnknown);
    assert.ok(said('is not valid now'));
  });

  it('gets none when its certificate or its identity is revoked', async (t) => {
    const { issue, renew, revoked, said } = await setUp(t);
    const { der, serial } = await issue(CALLER);
    revoked.add(serial);
    await assert.rejects(renew(der), isUnknown);
    assert.ok(said('was revoked'));
    revoked.clear();
    revoked.add(CALLER);
    await assert.rejects(renew(der), isUnknown);
    await assert.rejects(renew(der, 'Bearer good'), isUnknown);
    revoked.clear();
    assert.equal((await renew(der)).length, 2);
  });

  it('gets none when its service account is gone', async (t) => {
    const { issue, renew, accounts, said } = await setUp(t);
    accounts.clear();
    await assert.rejects(renew((await issue(CALLER)).der), isUnknown);
    assert.ok(said('service account that is gone'));
  });

  it('gets none for another trust domain, or an identity of another form', async (t) => {
    const { issue, renew, said } = await setUp(t);
    for (const identity of [
      'spiffe://evil.example/ns/photo-ns/sa/frontend',
      'spiffe://cluster.local/photo-ns/frontend',
      'spiffe://cluster.local/ns/photo-ns/sa/frontend/x',
    ])
      await assert.rejects(renew((await issue(identity)).der), isUnknown);
    assert.ok(said('trust domain evil.example'));
  });

  it('gets none by the certificate of a server or of the authority', async (t) => {
    const { renew, issuer, said } = await setUp(t);
    const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
    const names = { dnsNames: ['istiod'], ipAddresses: [] };
    const publicKey = parsePublicKey(spki);
    const server = await issuer.issueForServer({ ...names, publicKey, ttlMs: HOUR_MS });
    await assert.rejects(renew(server.certificate.der), isUnknown);
    const [root] = parseCertificatesPem(issuer.trustBundle);
    await assert.rejects(renew(root?.der ?? assert.fail('no root')), isUnknown);
    await assert.rejects(renew(Buffer.from('garbage')), isUnknown);
    assert.ok(said('carries no identity'));
  });

  it('may bring a token that is over beside it, and the other way round', async (t) => {
    const { issue, renew, clock } = await setUp(t);
    const { der } = await issue(CALLER);
    assert.equal((await renew(der, 'Bearer expired')).length, 2);
    clock.advance(HOUR_MS);
    assert.equal((await renew(der, 'Bearer good')).length, 2);
  });
});
