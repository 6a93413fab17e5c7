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
import { GrpcTestClient } from '../kit/grpc-client.ts';
import { RealMesh } from '../kit/real-mesh.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const WORKLOAD = parseSpiffeId('spiffe://cluster.local/ns/default/sa/default');

test('the word of a proxy before the authority', { timeout: 120_000 }, async (t) => {
  const mesh = new RealMesh(t);
  const ask = async (header: string): Promise<number> => {
    const root = credentials.createSsl(readFileSync(join(mesh.data, 'root-cert.pem')));
    const options = { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' };
    const client = new GrpcTestClient(t, mesh.addresses.discovery, root, options);
    const csr = buildCsr(WORKLOAD, generateKeyPair());
    const request = encodeCertificateRequest({ csr, validitySeconds: 60 });
    const metadata = { 'x-forwarded-client-cert': header };
    return (await client.unary(METHOD, request, { metadata })).code;
  };
  const own = `Hash=${'0a'.repeat(32)};Subject="";URI=${WORKLOAD}`;
  const { ok, unauthenticated } = GRPC_STATUS;

  await t.test('counts for nothing unless its address is named', async () => {
    await mesh.startServer();
    assert.equal(await ask(own), unauthenticated);
    await mesh.startServer('--trusted-gateway-cidrs', '10.0.0.0/8');
    assert.equal(await ask(own), unauthenticated);
  });

  await t.test('is taken from a named address, and recorded as such', async () => {
    await mesh.startServer('--trusted-gateway-cidrs', '10.0.0.0/8,127.0.0.1/32');
    assert.equal(await ask(own), ok);
    const certificates = await mesh.command('cert', 'list', '-o', 'json');
    assert.match(certificates, /forwarded-certificate/);
  });

  await t.test('is refused when its caller may have written some of it', async () => {
    const victim = 'URI=spiffe://cluster.local/ns/istio-system/sa/default';
    for (const header of ['junk', `${own},${victim}`, `${victim},${own}`, `${own};${victim}`])
      assert.equal(await ask(header), unauthenticated, header);
  });
});
