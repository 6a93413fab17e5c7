// Whoever does not prove who it is gets one answer, whatever was wrong.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BulwarkError } from '#base/errors.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { CALLER, openCsrService, refused } from '../../test/kit/csr-service.ts';

describe('a caller without a good token', () => {
  const isRefused = refused(GRPC_STATUS.unauthenticated, /^request authenticate failure$/);
  for (const [what, authorization] of Object.entries({
    'none at all': '',
    'an expired one': 'Bearer expired',
    'another scheme': 'Basic good',
    'two in one': 'Bearer good, Bearer good',
  }))
    it(`gets the same answer with ${what}, whatever it asks for`, async (t) => {
      const { ask, counted, lines } = await openCsrService(t);
      await assert.rejects(ask({ authorization, csr: 'garbage' }), isRefused);
      const csr = buildCsr(CALLER, generateKeyPair());
      await assert.rejects(ask({ authorization, csr }), isRefused);
      assert.equal(await counted('citadel_server_authentication_failure_count'), 2);
      assert.equal(await counted('citadel_server_csr_parsing_err_count'), 0);
      assert.ok(lines.some((line) => line.includes('CA_UNAUTHENTICATED')));
      assert.ok(!lines.join('').includes('expired, Bearer'));
    });

  it('does not get through with a name that is none of an identity', async (t) => {
    const names = { namespace: 'photo-ns/sa/admin', serviceAccount: 'x' };
    const { ask, counted } = await openCsrService(t, async () => ({
      authenticated: true,
      ...names,
    }));
    await assert.rejects(ask({ csr: buildCsr(CALLER, generateKeyPair()) }), isRefused);
    assert.equal(await counted('citadel_server_id_extraction_err_count'), 1);
  });

  it('is not called unknown when tokens cannot be reviewed', async (t) => {
    const failure = new BulwarkError('STORE_CORRUPT', 'the store does not read');
    const { ask, counted } = await openCsrService(t, () => Promise.reject(failure));
    await assert.rejects(ask({ csr: buildCsr(CALLER, generateKeyPair()) }), failure);
    assert.equal(await counted('citadel_server_authentication_failure_count'), 0);
  });
});

describe('a caller whose identity is revoked', () => {
  it('gets no certificate by a good token, and the answer that any other gets', async (t) => {
    let isRevoked = true;
    const options = { isRevoked: (identity: string) => isRevoked && identity === CALLER };
    const { ask, counted, records } = await openCsrService(t, undefined, options);
    const csr = buildCsr(CALLER, generateKeyPair());
    const isRefused = refused(GRPC_STATUS.unauthenticated, /^request authenticate failure$/);
    await assert.rejects(ask({ csr }), isRefused);
    assert.equal(await counted('citadel_server_authentication_failure_count'), 1);
    assert.equal(records.length, 0, 'nothing was signed');
    isRevoked = false;
    await ask({ csr });
    assert.equal(records.length, 1);
  });
});
