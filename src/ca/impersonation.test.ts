// A node agent asks for the workloads of its node: what it gets, and every way to ask for more.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { CertificateAttestor } from '#ca/attestation/certificate.ts';
import type { ReviewToken } from '#ca/attestation/service-account-token.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { CALLER, openCsrService, refused } from '../../test/kit/csr-service.ts';
import { TEST_TRUST_DOMAIN } from '../../test/kit/test-root.ts';

const AGENT = parseSpiffeId('spiffe://cluster.local/ns/istio-system/sa/node-agent');
const isRefused = refused(
  GRPC_STATUS.unauthenticated,
  /^request impersonation authentication failure$/,
);

/** Tokens by their text: the agent's with its node, without one, and that of somebody else. */
const reviewToken: ReviewToken = async (token) => {
  const agent = { authenticated: true, namespace: 'istio-system', tokenId: 't1' } as const;
  if (token === 'good') return { ...agent, serviceAccount: 'node-agent', node: { name: 'n1' } };
  if (token === 'unbound') return { ...agent, serviceAccount: 'node-agent' };
  if (token === 'other') return { ...agent, serviceAccount: 'other', node: { name: 'n1' } };
  return { authenticated: false, error: 'unknown' };
};

async function setUp(t: TestContext, nodeAgents = [AGENT]) {
  const revoked = new Set<string>();
  const opened = await openCsrService(t, reviewToken, {
    nodeAgents,
    isRevoked: (identity) => revoked.has(identity),
    runsOn: async ({ namespace, serviceAccount }, node) =>
      `${namespace}/${serviceAccount} ${node}` === 'photo-ns/frontend n1',
    attestors: (clock) => [
      new CertificateAttestor(
        { trustDomain: TEST_TRUST_DOMAIN, trustDomains: [TEST_TRUST_DOMAIN] },
        { clock, accountExists: async () => true, isRevoked: () => false },
      ),
    ],
  });
  const askFor = (ImpersonatedIdentity: string, more: object = {}) =>
    opened.ask({
      csr: buildCsr(CALLER, generateKeyPair()),
      metadata: { ImpersonatedIdentity },
      ...more,
    });
  const said = (text: string): boolean => opened.lines.some((line) => line.includes(text));
  return { ...opened, askFor, said, revoked };
}

describe('a trusted node agent', () => {
  it('gets a certificate for a workload of its node, and the journal says through whom', async (t) => {
    const { askFor, records, counted } = await setUp(t);
    const [pem = ''] = await askFor(CALLER);
    assert.deepEqual(parseCertificatesPem(pem)[0]?.names.uris, [CALLER]);
    const [{ identity, proof, method } = assert.fail('no record')] = records;
    assert.deepEqual([identity, method], [CALLER, 'service-account-token']);
    assert.equal(proof, `t1 of ${AGENT}`);
    assert.equal(await counted('bulwark_ca_impersonations_total{result="granted"}'), 1);
  });

  it('gets its own when it asks for nobody else', async (t) => {
    const { askFor } = await setUp(t);
    const [pem = ''] = await askFor('');
    assert.deepEqual(parseCertificatesPem(pem)[0]?.names.uris, [AGENT]);
  });

  it('gets none for a workload of another node, logged and counted', async (t) => {
    const { askFor, said, counted, records } = await setUp(t);
    await assert.rejects(askFor('spiffe://cluster.local/ns/photo-ns/sa/backend'), isRefused);
    await assert.rejects(askFor('spiffe://cluster.local/ns/other/sa/frontend'), isRefused);
    assert.ok(said('no workload of that account is on its node'));
    assert.equal(await counted('bulwark_ca_impersonations_total{result="refused"}'), 2);
    assert.equal(records.length, 0);
  });

  it('gets none for another trust domain, or what is no workload', async (t) => {
    const { askFor, said, ask } = await setUp(t);
    for (const identity of [
      'spiffe://other.example/ns/photo-ns/sa/frontend',
      'spiffe://cluster.local/photo-ns/frontend',
      'spiffe://cluster.local/ns/photo-ns/sa/frontend/x',
      'spiffe://cluster.local/ns/photo-ns/sa/../sa/frontend',
      'spiffe://CLUSTER.local/ns/photo-ns/sa/frontend',
      'frontend',
      'x'.repeat(5000),
    ])
      await assert.rejects(askFor(identity), isRefused, identity);
    assert.ok(said('of another trust domain'));
    const csr = buildCsr(CALLER, generateKeyPair());
    const isInvalid = refused(GRPC_STATUS.invalidArgument, /not acceptable/);
    await assert.rejects(ask({ csr, metadata: { ImpersonatedIdentity: [CALLER] } }), isInvalid);
  });

  it('gets none for an identity that is revoked', async (t) => {
    const { askFor, revoked } = await setUp(t);
    revoked.add(CALLER);
    await assert.rejects(askFor(CALLER), isRefused);
  });

  it('gets none when its token does not say on which node it is', async (t) => {
    const { askFor, said } = await setUp(t);
    await assert.rejects(askFor(CALLER, { authorization: 'Bearer unbound' }), isRefused);
    assert.ok(said('does not say on which node'));
  });

  it('gets none by its certificate alone, which says no node', async (t) => {
    const { askFor, issuer } = await setUp(t);
    const spki = generateKeyPair().publicKey.export({ type: 'spki', format: 'der' });
    const request = { identity: AGENT, publicKey: parsePublicKey(spki), ttlMs: 3_600_000 };
    const { der } = (await issuer.issueForWorkload(request)).certificate;
    await assert.rejects(askFor(CALLER, { authorization: '', certificate: der }), isRefused);
  });
});

describe('a caller that is no trusted node agent', () => {
  it('gets nobody else, also where nobody is trusted', async (t) => {
    const { askFor, said } = await setUp(t);
    await assert.rejects(askFor(CALLER, { authorization: 'Bearer other' }), isRefused);
    assert.ok(said('trustedNodeAccounts'));
    const none = await setUp(t, []);
    await assert.rejects(none.askFor(CALLER), isRefused);
  });
});
