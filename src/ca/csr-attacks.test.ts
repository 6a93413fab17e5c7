// The attacks on the certificate service: none gets more than its caller's own identity, each is
// counted, and the log stays readable under a flood.
import assert from 'node:assert/strict';
import { subtle, type webcrypto } from 'node:crypto';
import { describe, it } from 'node:test';
import { BulwarkError } from '#base/errors.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import { CALLER, openCsrService, refused, signingRefused } from '../../test/kit/csr-service.ts';
import { serveGrpc } from '../../test/kit/grpc-server.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** A request for these URI names, by another implementation. */
async function csrFor(...uris: readonly string[]): Promise<string> {
  const usages: webcrypto.KeyUsage[] = ['sign', 'verify'];
  const keys = await subtle.generateKey(P256, true, usages);
  const names = uris.map((value) => ({ type: 'url', value }) as const);
  const extensions = [new x509.SubjectAlternativeNameExtension([...names])];
  const request = { keys, signingAlgorithm: P256, extensions };
  return (await x509.Pkcs10CertificateRequestGenerator.create(request)).toString('pem');
}

const own = (): string => buildCsr(CALLER, generateKeyPair());

describe('a request for somebody else', () => {
  const ADMIN = 'spiffe://cluster.local/ns/istio-system/sa/admin';
  const attacks: Readonly<Record<string, readonly string[]>> = {
    'two URI names': [CALLER, ADMIN],
    'two URI names, the own one last': [ADMIN, CALLER],
    'the identity of another': [ADMIN],
    'another trust domain': ['spiffe://evil.example/ns/photo-ns/sa/frontend'],
    'no host': ['spiffe:///ns/photo-ns/sa/frontend'],
    'a path that goes up': ['spiffe://cluster.local/ns/photo-ns/sa/../../istio-system/sa/admin'],
    'a path with an escape': ['spiffe://cluster.local/ns/photo-ns/sa/frontend%2Fadmin'],
    'empty segments': ['spiffe://cluster.local//ns//photo-ns/sa/admin'],
    'capital letters': ['SPIFFE://CLUSTER.LOCAL/ns/photo-ns/sa/frontend'],
  };
  for (const [what, uris] of Object.entries(attacks))
    it(`gets its caller's identity with ${what}, counted and logged`, async (t) => {
      const { ask, counted, lines } = await openCsrService(t);
      const chain = await ask({ csr: await csrFor(...uris) });
      const [leaf] = parseCertificatesPem(chain[0] ?? '');
      assert.deepEqual(leaf?.names.uris, [CALLER]);
      assert.equal(leaf?.isCa, false);
      assert.equal(await counted('bulwark_ca_csr_foreign_names_total'), 1);
      assert.ok(lines.some((line) => line.includes('names that its caller does not have')));
    });

  for (const [what, uri] of [
    ['a NUL', `${CALLER}\u0000.evil`],
    ['a line end', `${CALLER}\nspiffe://cluster.local/ns/x/sa/y`],
  ] as const)
    it(`gets nothing with ${what} in a name`, async (t) => {
      const { ask, counted } = await openCsrService(t);
      const isRefused = signingRefused('certificate signing request is not properly encoded');
      await assert.rejects(ask({ csr: await csrFor(uri) }), isRefused);
      assert.equal(await counted('citadel_server_csr_parsing_err_count'), 1);
    });
});

describe('an identity that asks for too much', () => {
  const isLimited = refused(GRPC_STATUS.resourceExhausted, /^CSR signing error \(too many/);

  it('gets so many certificates in a minute, and is told when to come back', async (t) => {
    const { ask, clock, counted, records } = await openCsrService(t, undefined, { perMinute: 3 });
    for (let count = 0; count < 3; count += 1) await ask({ csr: own() });
    await assert.rejects(ask({ csr: own() }), (error) => {
      assert.equal((error as { retryMs?: number }).retryMs, 20_000);
      return isLimited(error);
    });
    assert.equal(await counted('citadel_server_csr_sign_err_count{error="RATE_LIMITED"}'), 1);
    clock.advance(20_000);
    await ask({ csr: own() });
    await assert.rejects(ask({ csr: own() }), isLimited);
    assert.equal(records.length, 4);
  });

  it('does not keep others from theirs', async (t) => {
    const reviewToken = async (serviceAccount: string) =>
      ({ authenticated: true, namespace: 'photo-ns', serviceAccount }) as const;
    const { ask } = await openCsrService(t, reviewToken, { perMinute: 1 });
    await ask({ csr: own(), authorization: 'Bearer one' });
    await assert.rejects(ask({ csr: own(), authorization: 'Bearer one' }), isLimited);
    assert.equal((await ask({ csr: own(), authorization: 'Bearer two' })).length, 2);
  });

  it('is not limited where the setting says so', async (t) => {
    const { ask } = await openCsrService(t, undefined, { perMinute: 0 });
    for (let count = 0; count < 50; count += 1) await ask({ csr: own() });
  });
});

describe('a flood', () => {
  it('of callers without a proof is all refused and counted, and does not fill the log', async (t) => {
    const { ask, clock, counted, lines } = await openCsrService(t);
    const isUnknown = refused(GRPC_STATUS.unauthenticated, /^request authenticate failure$/);
    const storm = () =>
      Promise.all(
        Array.from({ length: 500 }, () =>
          assert.rejects(ask({ csr: own(), authorization: 'Bearer bad' }), isUnknown),
        ),
      );
    await storm();
    assert.equal(await counted('citadel_server_authentication_failure_count'), 500);
    const logged = () => lines.filter((line) => line.includes('"warn"')).length;
    assert.equal(logged(), LIMITS.refusalLogsPerSecondMax);
    clock.advance(1000);
    await assert.rejects(ask({ authorization: '' }), isUnknown);
    const last = lines.findLast((line) => line.includes('"warn"')) ?? '';
    assert.match(last, new RegExp(`"leftOut":${500 - LIMITS.refusalLogsPerSecondMax}`));
    assert.equal((await ask({ csr: own() })).length, 2);
  });

  it('of 10 MB in one request ends that request and no other', async (t) => {
    const { service, ask } = await openCsrService(t);
    const { client } = await serveGrpc(t, service);
    const huge = encodePem('CERTIFICATE REQUEST', Buffer.alloc(7_500_000));
    const metadata = { authorization: 'Bearer good' };
    const outcome = await client.unary(METHOD, huge, { metadata });
    assert.equal(outcome.code, GRPC_STATUS.resourceExhausted);
    assert.equal((await ask({ csr: own() })).length, 2);
  });
});

describe('a certificate that is not in the journal', () => {
  it('does not leave', async (t) => {
    const record = () => Promise.reject(new Error('the disk is gone'));
    const { ask, counted } = await openCsrService(t, undefined, { record });
    await assert.rejects(ask({ csr: own() }), /the disk is gone/);
    assert.equal(await counted('citadel_server_success_cert_issuance_count'), 0);
  });

  it('does not leave either when it is that of an authority below', async (t) => {
    const record = () => Promise.reject(new Error('the disk is gone'));
    const options = { record, authorities: [CALLER] };
    const { ask, counted } = await openCsrService(t, undefined, options);
    const metadata = { BulwarkAuthority: 'intermediate' };
    await assert.rejects(ask({ csr: own(), metadata }), /the disk is gone/);
    assert.equal(await counted('bulwark_ca_intermediates_issued_total'), 0);
  });

  it('is told so that the caller tries again', async (t) => {
    const record = () => Promise.reject(new BulwarkError('CA_JOURNAL_FAILED', 'no space'));
    const { ask, counted } = await openCsrService(t, undefined, { record });
    const isAway = refused(GRPC_STATUS.unavailable, /could not be recorded/);
    await assert.rejects(ask({ csr: own() }), isAway);
    assert.equal(await counted('citadel_server_csr_sign_err_count{error="NOT_RECORDED"}'), 1);
  });
});
