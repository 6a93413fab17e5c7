// A proxy before the certificate authority, on the real port of a real server: its word counts only
// where the server was told so.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { encodeCertificateRequest } from '#caclient/ca-messages.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { startAuthorityProxy } from '../kit/authority-proxy.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { GrpcTestClient } from '../kit/grpc-client.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const WORKLOAD = parseSpiffeId('spiffe://cluster.local/ns/default/sa/default');
const NAMED = { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' };
const FORWARDED = 'forwarded-certificate';

const request = () => {
  const csr = buildCsr(WORKLOAD, generateKeyPair());
  return encodeCertificateRequest({ csr, validitySeconds: 60 });
};

test('the word of a proxy before the authority', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  const ask = async (header: string): Promise<number> => {
    const root = credentials.createSsl(readFileSync(join(mesh.data, 'root-cert.pem')));
    const client = new GrpcTestClient(t, mesh.addresses.discovery, root, NAMED);
    const metadata = { 'x-forwarded-client-cert': header };
    return (await client.unary(METHOD, request(), { metadata })).code;
  };
  const own = `Hash=${'0a'.repeat(32)};Subject="";URI=${WORKLOAD}`;
  const { ok, unauthenticated } = GRPC_STATUS;

  await t.test('counts for nothing unless its address is named', async () => {
    await mesh.startServer();
    assert.equal(await ask(own), unauthenticated);
  });

  await t.test('is taken from a named address, and recorded as such', async () => {
    await mesh.startServer('--trusted-gateway-cidrs', '10.0.0.0/8,127.0.0.1/32');
    assert.equal(await ask(own), ok);
    const certificates = await mesh.command('cert', 'list', '-o', 'json');
    assert.match(certificates, new RegExp(FORWARDED));
  });

  await t.test('is refused when its caller may have written some of it', async () => {
    const victim = 'URI=spiffe://cluster.local/ns/istio-system/sa/default';
    for (const header of ['junk', `${own},${victim}`, `${victim},${own}`, `${own};${victim}`])
      assert.equal(await ask(header), unauthenticated, header);
  });

  await t.test('is Envoy’s about who opened mutual TLS to it, and not about others', async () => {
    const caller = await CertificateCaller.connect(mesh.data);
    t.after(() => caller.close());
    const proven = await caller.certificate();
    const own = testAuthority('the proxy');
    const shown = own.issue({ dnsNames: ['istiod.istio-system.svc'] });
    const roots = readFileSync(join(mesh.data, 'root-cert.pem'), 'utf8');
    const before = { authority: mesh.addresses.discovery, roots, shown };
    const ports = {
      anew: await startAuthorityProxy(t, { ...before, headers: 'SANITIZE_SET' }),
      passedOn: await startAuthorityProxy(t, { ...before, headers: 'APPEND_FORWARD' }),
    };
    const through = async (port: number, header: string, proof?: TestCertificate) => {
      const { certificate, privateKey } = proof ?? {};
      const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
      const keys = [pem(privateKey), pem(certificate)] as const;
      const ssl = credentials.createSsl(Buffer.from(own.root), ...keys);
      const client = new GrpcTestClient(t, `127.0.0.1:${port}`, ssl, NAMED);
      const metadata: Record<string, string> =
        header === '' ? {} : { 'x-forwarded-client-cert': header };
      return (await client.unary(METHOD, request(), { metadata })).code;
    };
    const victim = 'URI=spiffe://cluster.local/ns/istio-system/sa/default';
    assert.equal(await through(ports.anew, '', proven), ok);
    assert.equal(await through(ports.anew, victim, proven), ok);
    const listed = JSON.parse(await mesh.command('cert', 'list', '-o', 'json')) as {
      readonly certificates: readonly { readonly identity: string; readonly method: string }[];
    };
    const forwarded = listed.certificates.filter(({ method }) => method === FORWARDED);
    assert.deepEqual([...new Set(forwarded.map(({ identity }) => identity))], [WORKLOAD]);
    assert.equal(await through(ports.anew, victim), unauthenticated);
    assert.equal(await through(ports.passedOn, '', proven), ok);
    assert.equal(await through(ports.passedOn, victim, proven), unauthenticated);
  });
});
