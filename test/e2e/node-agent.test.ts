// A node agent of Istio's kind (ztunnel) against the real server: the exchange as Istio sends it,
// with the pod-bound token that the API server gave it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { accountsYaml, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const pod = (name: string, account: string, node: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop }
spec: { nodeName: ${node}, serviceAccountName: ${account}, containers: [{ name: c, image: i }] }
`;
const OBJECTS = yamlOf(
  accountsYaml('shop', 'ztunnel', 'web', 'far', 'vm'),
  pod('agent-1', 'ztunnel', 'n1'),
  pod('agent-2', 'ztunnel', 'n2'),
  pod('web-1', 'web', 'n1'),
  pod('far-1', 'far', 'n2'),
  `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: vm, namespace: shop, labels: { kubernetes.io/hostname: n1 } }
spec: { address: 127.0.0.1, serviceAccount: vm }
`,
);

test('a node agent has certificates for what runs on its node', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--trusted-node-accounts', 'shop/ztunnel');
  await mesh.apply(OBJECTS);
  const { discovery } = mesh.addresses;
  const roots = readFileSync(join(mesh.data, 'root-cert.pem'));
  const client = new Client(discovery, credentials.createSsl(roots));
  t.after(() => client.close());

  const tokenOf = (name: string, podName?: string) => mesh.requestToken('shop', name, podName);
  const ask = async (token: string, name: string): Promise<readonly string[]> => {
    const identity = parseSpiffeId(`spiffe://cluster.local/ns/shop/sa/${name}`);
    const request = create(IstioCertificateRequestSchema, {
      csr: buildCsr(identity, generateKeyPair()),
      metadata: { ImpersonatedIdentity: identity },
    });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const bytes = await new Promise<Uint8Array>((resolve, reject) => {
      const encode = () => Buffer.from(toBinary(IstioCertificateRequestSchema, request));
      const done = (error: ServiceError | null, answer?: Buffer): void =>
        error ? reject(error) : resolve(answer ?? Buffer.alloc(0));
      client.makeUnaryRequest(METHOD, encode, (answer) => answer, request, metadata, done);
    });
    const { certChain } = fromBinary(IstioCertificateResponseSchema, bytes);
    return parseCertificatesPem(certChain[0] ?? '')[0]?.names.uris ?? [];
  };
  const isRefused = /16 UNAUTHENTICATED: request impersonation authentication failure/;
  const first = await tokenOf('ztunnel', 'agent-1');

  await t.test('a pod or a machine on it, and nothing of another one', async () => {
    assert.deepEqual(await ask(first, 'web'), ['spiffe://cluster.local/ns/shop/sa/web']);
    assert.deepEqual(await ask(first, 'vm'), ['spiffe://cluster.local/ns/shop/sa/vm']);
    await assert.rejects(ask(first, 'far'), isRefused);
    const second = await tokenOf('ztunnel', 'agent-2');
    assert.deepEqual(await ask(second, 'far'), ['spiffe://cluster.local/ns/shop/sa/far']);
    await assert.rejects(ask(second, 'web'), isRefused);
  });

  await t.test('but not by a token that is not bound, or as somebody else', async () => {
    await assert.rejects(ask(await tokenOf('ztunnel'), 'web'), isRefused);
    await assert.rejects(ask(await tokenOf('web', 'web-1'), 'vm'), isRefused);
  });

  await t.test('only while the pod is there, its own and the one it asks for', async () => {
    const remove = (name: string) =>
      mesh.api.expect({ method: 'DELETE', path: `/api/v1/namespaces/shop/pods/${name}` });
    await remove('web-1');
    await waitUntil(
      async () => (await mesh.get('/api/v1/namespaces/shop/pods/web-1')) === undefined,
      'gone',
    );
    await assert.rejects(ask(first, 'web'), isRefused);
    await remove('agent-1');
    await assert.rejects(ask(first, 'vm'), /request authenticate failure/);
  });
});
