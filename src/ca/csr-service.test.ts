// Callers get a certificate for who they are and the key they hold; everything else gets an opaque
// no and a full log.
import assert from 'node:assert/strict';
import { subtle, type webcrypto } from 'node:crypto';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { GRPC_STATUS, type GrpcCall } from '#base/grpc/grpc.ts';
import { IstioCertificateRequestSchema } from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { CALLER, openCsrService, refused, signingRefused } from '../../test/kit/csr-service.ts';
import { x509 } from '../../test/kit/peculiar-x509.ts';
import { ROOT_TTL_MS } from '../../test/kit/test-root.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** A request of any kind, by another implementation. */
async function foreignCsr(
  algorithm: object,
  extensions: InstanceType<typeof x509.Extension>[] = [],
): Promise<string> {
  const keys = await subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, [
    'sign',
    'verify',
  ]);
  const signingAlgorithm = algorithm as webcrypto.EcdsaParams;
  return (
    await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm, extensions })
  ).toString('pem');
}
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

describe('a caller with a good token', () => {
  it('gets a certificate for its identity and its key, and the root after it', async (t) => {
    const { ask, clock, counted, lines } = await openCsrService(t);
    const keys = generateKeyPair();
    const chain = await ask({ csr: buildCsr(CALLER, keys), seconds: 3600n });
    assert.equal(chain.length, 2);
    const [leaf, root] = chain.flatMap((pem) => parseCertificatesPem(pem));
    assert.ok(leaf && root);
    assert.equal(identityOfCertificate(leaf), CALLER);
    assert.equal(isCertificateOfKey(leaf, keys.publicKey), true);
    assert.equal(leaf.notAfterAt, clock.now() + 3_600_000);
    assert.equal(root.isCa, true);
    assert.equal(await counted('citadel_server_csr_count'), 1);
    assert.equal(await counted('citadel_server_success_cert_issuance_count'), 1);
    assert.equal(await counted('bulwark_ca_csr_foreign_names_total'), 0);
    assert.ok(lines.some((line) => line.includes(leaf.serial) && line.includes(CALLER)));
  });

  it('costs no signal of its end, which nobody waits for', async (t) => {
    const { service } = await openCsrService(t);
    const csr = buildCsr(CALLER, generateKeyPair());
    const message = create(IstioCertificateRequestSchema, { csr });
    let signals = 0;
    const call: GrpcCall = {
      path: METHOD,
      metadata: { authorization: 'Bearer good' },
      peer: { address: '127.0.0.1:1', verifiedCertificate: undefined, channelBinding: undefined },
      get signal() {
        signals += 1;
        return new AbortController().signal;
      },
    };
    const answer = await service.unary?.[METHOD]?.(
      toBinary(IstioCertificateRequestSchema, message),
      call,
    );
    assert.ok(answer && answer.length > 0);
    assert.equal(signals, 0);
  });

  it('gets its own identity when it asks for another, counted and logged', async (t) => {
    const { ask, counted, lines } = await openCsrService(t);
    const other = parseSpiffeId('spiffe://cluster.local/ns/other/sa/admin');
    const [leaf = ''] = await ask({ csr: buildCsr(other, generateKeyPair()) });
    assert.deepEqual(parseCertificatesPem(leaf)[0]?.names.uris, [CALLER]);
    assert.equal(await counted('bulwark_ca_csr_foreign_names_total'), 1);
    assert.ok(lines.some((line) => line.includes('"warn"') && line.includes('names')));
  });

  it('gets none of the DNS names and addresses that it asks for', async (t) => {
    const { ask, counted } = await openCsrService(t);
    const names = new x509.SubjectAlternativeNameExtension([
      { type: 'url', value: CALLER },
      { type: 'dns', value: 'istiod.istio-system.svc' },
      { type: 'ip', value: '127.0.0.1' },
    ]);
    const [leaf = ''] = await ask({ csr: await foreignCsr(P256, [names]) });
    const [read] = parseCertificatesPem(leaf);
    assert.deepEqual([read?.names.dnsNames, read?.names.ipAddresses], [[], []]);
    assert.equal(await counted('bulwark_ca_csr_foreign_names_total'), 1);
  });

  it('may have a key of any accepted kind', async (t) => {
    const { ask } = await openCsrService(t);
    const rsa = {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
    };
    for (const algorithm of [{ ...rsa, hash: 'SHA-256' }, { name: 'Ed25519' }])
      assert.equal((await ask({ csr: await foreignCsr(algorithm) })).length, 2);
  });

  it('is refused a life that is too long', async (t) => {
    const { ask, counted } = await openCsrService(t);
    const csr = buildCsr(CALLER, generateKeyPair());
    const tooLong = signingRefused(
      'requested TTL 2160h1s is greater than the max allowed TTL 2160h',
    );
    await assert.rejects(ask({ csr, seconds: 7_776_001n }), tooLong);
    await assert.rejects(
      ask({ csr, seconds: 2n ** 63n - 1n }),
      refused(GRPC_STATUS.invalidArgument, /TTL/),
    );
    assert.equal(await counted('citadel_server_csr_sign_err_count{error="TTL_ERROR"}'), 2);
  });

  it('is told that the authority is not ready when the root is over', async (t) => {
    const { ask, clock } = await openCsrService(t);
    clock.advance(ROOT_TTL_MS);
    const csr = buildCsr(CALLER, generateKeyPair());
    await assert.rejects(ask({ csr }), refused(GRPC_STATUS.internal, /authority is not ready/));
  });
});

describe('a bad request', () => {
  const malformed = signingRefused('certificate signing request is not properly encoded');
  const weak = signingRefused(
    'certificate signing request has an unsupported or weak key or signature',
  );
  const unproven = signingRefused('certificate signing request is not signed by its own key');
  const unacceptable = signingRefused('certificate signing request is not acceptable');

  const own = () => buildCsr(CALLER, generateKeyPair());
  const csrs: Readonly<
    Record<string, [() => string | Promise<string>, (error: unknown) => boolean]>
  > = {
    'that is empty': [() => '', malformed],
    'that is garbage': [() => 'garbage', malformed],
    'that is cut off': [() => own().slice(0, 200), malformed],
    'that is a certificate': [
      () => own().replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
      malformed,
    ],
    'of 1 MB': [() => 'A'.repeat(1_000_000), unacceptable],
    'of 1 MB in PEM': [() => encodePem('CERTIFICATE REQUEST', Buffer.alloc(700_000)), unacceptable],
    'to become an authority': [
      () => foreignCsr(P256, [new x509.BasicConstraintsExtension(true, 1, true)]),
      unacceptable,
    ],
    'with RSA of 1024 bits': [
      () =>
        foreignCsr({
          name: 'RSASSA-PKCS1-v1_5',
          modulusLength: 1024,
          publicExponent: Uint8Array.of(1, 0, 1),
          hash: 'SHA-256',
        }),
      weak,
    ],
    'with P-521': [() => foreignCsr({ ...P256, namedCurve: 'P-521' }), weak],
    'signed by another key': [
      () => {
        const { publicKey } = generateKeyPair();
        return buildCsr(CALLER, { publicKey, privateKey: generateKeyPair().privateKey });
      },
      unproven,
    ],
  };
  for (const [what, [make, isRefused]] of Object.entries(csrs))
    it(`${what} is refused, counted, and explained in the log`, async (t) => {
      const { ask, counted, lines } = await openCsrService(t);
      await assert.rejects(ask({ csr: await make() }), isRefused);
      assert.equal(await counted('citadel_server_csr_parsing_err_count'), 1);
      assert.equal(await counted('citadel_server_csr_sign_err_count{error="CSR_ERROR"}'), 1);
      assert.equal(await counted('citadel_server_success_cert_issuance_count'), 0);
      const line = lines.find((text) => text.includes('certificate refused')) ?? '';
      assert.match(line, /"code":"(CA_CSR|PKI)_/);
      assert.ok(line.includes(CALLER));
    });

  it('that is no message is refused', async (t) => {
    const { ask } = await openCsrService(t);
    for (const bytes of [Uint8Array.of(0xff), Uint8Array.of(0x0a, 0x05, 0x41), nested(20_000)])
      await assert.rejects(ask({ bytes }), unacceptable);
  });

  it('in the name of another is refused', async (t) => {
    const { ask, records } = await openCsrService(t);
    const metadata = { CertSigner: '', ImpersonatedIdentity: 'spiffe://cluster.local/ns/x/sa/y' };
    const isRefused = refused(
      GRPC_STATUS.unauthenticated,
      /^request impersonation authentication failure$/,
    );
    await assert.rejects(ask({ csr: own(), metadata }), isRefused);
    assert.equal((await ask({ csr: own(), metadata: { CertSigner: '' } })).length, 2);
    assert.equal(records.at(-1)?.isAgent, true, 'it is an agent of Istio');
  });
});

/** A message whose metadata is a struct in a struct in a struct …, `depth` times. */
function nested(depth: number): Uint8Array {
  let value = Buffer.of();
  for (let level = 0; level < depth && value.length < 60_000; level += 1)
    value = field(5, field(1, Buffer.concat([field(1, Buffer.from('a')), field(2, value)])));
  return field(4, field(1, Buffer.concat([field(1, Buffer.from('a')), field(2, value)])));
}

function field(number: number, contents: Uint8Array): Buffer<ArrayBuffer> {
  const length: number[] = [];
  for (let left = contents.length; ; left >>>= 7) {
    length.push(left < 0x80 ? left : 0x80 | (left & 0x7f));
    if (left < 0x80) break;
  }
  return Buffer.concat([Buffer.of((number << 3) | 2, ...length), contents]);
}
