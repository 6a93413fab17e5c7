// What a proxy before the authority may say of its callers, and who may not say anything.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import {
  exceptForwarders,
  ForwardedCertificateAttestor,
} from '#ca/attestation/forwarded/forwarded-certificate.ts';
import { Forwarders } from '#ca/attestation/forwarded/forwarders.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { openCsrService, refused } from '../../../../test/kit/csr-service.ts';
import { TEST_TRUST_DOMAIN } from '../../../../test/kit/test-root.ts';

const PROXY = '10.1.0.7:4711';
const OUTSIDE = '10.2.0.7:4711';
const VICTIM = 'spiffe://cluster.local/ns/photo-ns/sa/vault';
const HASH = 'ab'.repeat(32);
const forwarders = new Forwarders({ ranges: ['10.1.0.0/16'], loopback: false });

function attestor(exists = true) {
  return new ForwardedCertificateAttestor(
    {
      trustDomain: TEST_TRUST_DOMAIN,
      trustDomains: [TEST_TRUST_DOMAIN, parseTrustDomain('old.example')],
      forwarders,
    },
    { accountExists: async () => exists },
  );
}

const attest = (header: string | string[] | undefined, address = PROXY, exists = true) =>
  attestor(exists).attest({
    metadata: header === undefined ? {} : { 'x-forwarded-client-cert': header as string },
    peer: { address, verifiedCertificate: undefined },
  });

const refusedAs = (why: RegExp) => (error: unknown) =>
  isBulwarkError(error, 'CA_UNAUTHENTICATED') && why.test(error.message);

describe('the word of a trusted proxy', () => {
  it('proves the identity of its caller, and the journal says by whose word', async () => {
    const found = await attest(`Hash=${HASH};Subject="";URI=${VICTIM}`);
    assert.deepEqual(found, {
      identity: VICTIM,
      method: 'forwarded-certificate',
      proof: `certificate ${HASH}, by the word of ${PROXY}`,
    });
  });

  it('counts for the trust domains of the mesh, under its name of today', async () => {
    const found = await attest('URI=spiffe://old.example/ns/photo-ns/sa/vault');
    assert.equal(found?.identity, VICTIM);
  });

  it('is no proof where there is none, and where it is that of others', async () => {
    assert.equal(await attest(undefined), undefined);
    assert.equal(await attest(''), undefined);
    assert.equal(await attest(`URI=${VICTIM}`, OUTSIDE), undefined);
    assert.equal(await attest(`URI=${VICTIM}`, '127.0.0.1:1'), undefined);
    assert.equal(await attest(`URI=${VICTIM}`, '10.1.0.7'), undefined);
  });

  it('is refused when somebody else may have written some of it', async () => {
    const own = 'URI=spiffe://cluster.local/ns/photo-ns/sa/thief';
    const several = refusedAs(/2 elements.*SANITIZE_SET/);
    await assert.rejects(attest(`URI=${VICTIM},${own}`), several);
    await assert.rejects(attest(`${own}, URI=${VICTIM}`), several);
    await assert.rejects(attest([`URI=${VICTIM}`, own]), several);
    await assert.rejects(attest(`${own};URI=${VICTIM}`), refusedAs(/names 2 identities/));
  });

  it('is refused when it says nothing, or nobody of this mesh', async () => {
    await assert.rejects(attest('junk xfcc header'), refusedAs(/does not read/));
    await assert.rejects(attest('Hash=a;DNS=vault.example'), refusedAs(/names 0 identities/));
    for (const uri of ['https://vault.example', 'spiffe://cluster.local/vault', 'spiffe://'])
      await assert.rejects(attest(`URI=${uri}`), refusedAs(/no identity of a workload/));
    const foreign = attest('URI=spiffe://evil.example/ns/photo-ns/sa/vault');
    await assert.rejects(foreign, refusedAs(/trust domain evil.example/));
    await assert.rejects(attest(`URI=${VICTIM}`, PROXY, false), refusedAs(/account that is gone/));
  });

  it('is not told by its own certificate, which is that of many callers', async () => {
    const identity = parseSpiffeId(VICTIM);
    const any = { attest: async () => ({ identity, method: 'certificate', proof: '1' }) as const };
    const own = exceptForwarders(any, forwarders);
    const from = (address: string) =>
      own.attest({ metadata: {}, peer: { address, verifiedCertificate: undefined } });
    assert.equal(await from(PROXY), undefined);
    assert.equal((await from(OUTSIDE))?.identity, VICTIM);
  });
});

describe('a request through a trusted proxy', () => {
  const options = { attestors: () => [attestor()] };
  const headers = { 'x-forwarded-client-cert': `Hash=${HASH};URI=${VICTIM}` };
  const csr = () => buildCsr(parseSpiffeId(VICTIM), generateKeyPair());

  it('gets a certificate, and the record says how its sender was known', async (t) => {
    const { ask, records } = await openCsrService(t, undefined, options);
    await ask({ csr: csr(), headers, authorization: '', from: PROXY });
    const [record] = records;
    assert.equal(record?.identity, VICTIM);
    assert.equal(record.method, 'forwarded-certificate');
    assert.match(record.proof, /^certificate (ab)+, by the word of 10\.1\.0\.7:4711$/);
  });

  it('gets nothing by a header of others, or by one that is no good', async (t) => {
    const { ask, records, lines } = await openCsrService(t, undefined, options);
    const isNobody = refused(GRPC_STATUS.unauthenticated, /^request authenticate failure$/);
    const other = { csr: csr(), headers, authorization: '', from: OUTSIDE };
    await assert.rejects(ask(other), isNobody);
    const junk = { 'x-forwarded-client-cert': 'junk' };
    await assert.rejects(ask({ ...other, headers: junk, from: PROXY }), isNobody);
    assert.equal(records.length, 0);
    assert.ok(lines.some((line) => line.includes('does not read')));
  });

  it('does not become an authority by the word of the proxy', async (t) => {
    const authorities = [parseSpiffeId(VICTIM)];
    const { ask, records } = await openCsrService(t, undefined, { ...options, authorities });
    const metadata = { BulwarkAuthority: 'intermediate' };
    const asked = { csr: csr(), headers, authorization: '', from: PROXY, metadata };
    await assert.rejects(ask(asked), refused(GRPC_STATUS.permissionDenied, /./));
    assert.equal(records.length, 0);
  });
});
