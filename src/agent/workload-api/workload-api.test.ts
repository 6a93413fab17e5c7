import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { KnownBundles } from '#agent/trust/known-bundles.ts';
import { WorkloadApi } from '#agent/workload-api/workload-api.ts';
import { systemClock } from '#base/clock.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { silentLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import {
  X509BundlesResponseSchema,
  X509SVIDResponseSchema,
} from '#gen/bulwark/spiffe/workload_pb.js';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { encodePem } from '#pki/pem.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { GrpcTestClient, type GrpcTestStream } from '../../../test/kit/grpc-client.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';

const ID = 'spiffe://cluster.local/ns/a/sa/b';
const GUARD = { 'workload.spiffe.io': 'true' };
const authority = testAuthority();

/** A fresh certificate of the workload. */
function newSecret(changes: Partial<WorkloadSecret> = {}): WorkloadSecret {
  const { certificate, privateKey } = authority.issue({ uris: [ID] });
  return {
    identity: parseSpiffeId(ID),
    privateKeyPem: new Secret(privateKey),
    chainPem: certificate,
    rootsPem: authority.root,
    serial: '1',
    notBeforeAt: 0,
    notAfterAt: Date.now() + 60_000,
    obtainedAt: 0,
    ...changes,
  };
}

async function setUp(t: TestContext) {
  const socketPath = join(temporaryDirectory(t), 'workload.sock');
  const api = new WorkloadApi(
    { socketPath },
    {
      log: silentLogger,
      clock: systemClock,
      tokens: { token: () => assert.fail('nobody asks for a token') },
    },
  );
  t.after(() => api.close());
  await api.start();
  const client = new GrpcTestClient(t, `unix:${socketPath}`);
  const call = (method: string, metadata: Record<string, string> = GUARD): GrpcTestStream => {
    const stream = client.stream(`/SpiffeWorkloadAPI/${method}`, { metadata });
    stream.send(new Uint8Array());
    stream.finish();
    return stream;
  };
  return { api, client, call, socketPath };
}

/** What is known of trust domains: the own one, and another with this root. */
function federation(root: string | undefined): KnownBundles {
  const own = parseTrustDomain('cluster.local');
  const bundle = (rootsPem: string) => ({ rootsPem, jwtAuthorities: [] });
  return {
    own: [own],
    byDomain: new Map([
      [own, bundle(authority.root)],
      ...(root === undefined ? [] : [[parseTrustDomain('other.test'), bundle(root)] as const]),
    ]),
  };
}

async function svidOf(stream: GrpcTestStream, index: number) {
  const response = fromBinary(X509SVIDResponseSchema, await stream.message(index));
  const [svid] = response.svids;
  assert.ok(svid && response.svids.length === 1);
  return { ...svid, crl: response.crl };
}

describe('the SPIFFE Workload API', () => {
  it('gives certificate, key and roots as DER that belong together', async (t) => {
    const { api, call, socketPath } = await setUp(t);
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    const crl = Buffer.from('a list');
    const crlPem = encodePem('X509 CRL', crl);
    const secret = newSecret({ crlPem });
    api.publish(secret);
    const svid = await svidOf(call('FetchX509SVID'), 0);
    assert.equal(svid.spiffeId, ID);
    const leaf = new X509Certificate(svid.x509Svid);
    assert.equal(leaf.subjectAltName, `URI:${ID}`);
    const key = createPrivateKey({
      key: Buffer.from(svid.x509SvidKey),
      format: 'der',
      type: 'pkcs8',
    });
    assert.ok(leaf.checkPrivateKey(key));
    assert.ok(leaf.verify(new X509Certificate(svid.bundle).publicKey));
    assert.deepEqual(svid.crl.map(Buffer.from), [crl]);
  });

  it('puts intermediates behind the leaf, and several roots behind each other', async (t) => {
    const { api, call } = await setUp(t);
    const other = testAuthority('other').root;
    const secret = newSecret();
    api.publish({
      ...secret,
      chainPem: `${secret.chainPem}${other}`,
      rootsPem: `${authority.root}${other}`,
    });
    const svid = await svidOf(call('FetchX509SVID'), 0);
    const der = (pem: string): Buffer =>
      Buffer.concat(parseCertificatesPem(pem).map(({ der }) => der));
    assert.deepEqual(Buffer.from(svid.x509Svid), der(`${secret.chainPem}${other}`));
    assert.deepEqual(Buffer.from(svid.bundle), der(`${authority.root}${other}`));
  });

  it('gives every client the certificate that replaces another', async (t) => {
    const { api, call } = await setUp(t);
    api.publish(newSecret());
    const streams = [call('FetchX509SVID'), call('FetchX509SVID')];
    const first = await Promise.all(streams.map((stream) => svidOf(stream, 0)));
    assert.deepEqual(first[0]?.x509Svid, first[1]?.x509Svid);
    const renewed = newSecret();
    api.publish(renewed);
    for (const stream of streams) {
      const { x509Svid, x509SvidKey } = await svidOf(stream, 1);
      assert.deepEqual(
        Buffer.from(x509Svid),
        new X509Certificate(renewed.chainPem).raw,
        'the new one',
      );
      assert.notDeepEqual(x509SvidKey, first[0]?.x509SvidKey);
    }
  });

  it('gives the roots by trust domain, again only when they change', async (t) => {
    const { api, call } = await setUp(t);
    api.publish(newSecret());
    const stream = call('FetchX509Bundles');
    const bundles = async (index: number) =>
      fromBinary(X509BundlesResponseSchema, await stream.message(index)).bundles;
    assert.deepEqual(Object.keys(await bundles(0)), ['spiffe://cluster.local']);
    api.publish(newSecret());
    const other = testAuthority('other').root;
    api.publish(newSecret({ rootsPem: other }));
    const bundle = (await bundles(1))['spiffe://cluster.local'];
    assert.deepEqual(Buffer.from(bundle ?? []), new X509Certificate(other).raw);
  });

  it('refuses calls without its metadata', async (t) => {
    const { api, client, call } = await setUp(t);
    api.publish(newSecret());
    for (const metadata of [{}, { 'workload.spiffe.io': 'yes' }] as Record<string, string>[]) {
      for (const method of ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles']) {
        const { code } = await call(method, metadata).outcome;
        assert.equal(code, GRPC_STATUS.invalidArgument, method);
      }
      const { code } = await client.unary('/SpiffeWorkloadAPI/FetchJWTSVID', '', { metadata });
      assert.equal(code, GRPC_STATUS.invalidArgument);
    }
  });

  it('denies while there is no identity, and when it has expired', async (t) => {
    const { api, call } = await setUp(t);
    const refused = async () => (await call('FetchX509SVID').outcome).code;
    assert.equal(await refused(), GRPC_STATUS.permissionDenied);
    api.publish(newSecret({ notAfterAt: Date.now() - 1 }));
    assert.equal(await refused(), GRPC_STATUS.permissionDenied);
    api.publish(newSecret());
    await svidOf(call('FetchX509SVID'), 0);
  });

  it('gives the roots of other trust domains apart from its own', async (t) => {
    const { api, call } = await setUp(t);
    const other = testAuthority('other').root;
    api.publish(newSecret({ bundles: federation(other) }));
    const stream = call('FetchX509SVID');
    const { svids, federatedBundles } = fromBinary(X509SVIDResponseSchema, await stream.message(0));
    const der = (pem: string): Buffer => new X509Certificate(pem).raw;
    assert.deepEqual(Object.keys(federatedBundles), ['spiffe://other.test']);
    assert.deepEqual(Buffer.from(federatedBundles['spiffe://other.test'] ?? []), der(other));
    assert.deepEqual(Buffer.from(svids[0]?.bundle ?? []), der(authority.root));
    const all = fromBinary(X509BundlesResponseSchema, await call('FetchX509Bundles').message(0));
    assert.deepEqual(Object.keys(all.bundles).sort(), [
      'spiffe://cluster.local',
      'spiffe://other.test',
    ]);
    api.publish(newSecret({ bundles: federation(undefined) }));
    const next = fromBinary(X509SVIDResponseSchema, await stream.message(1));
    assert.deepEqual(next.federatedBundles, {});
  });

  it('ends its streams when the agent ends, so that clients come back', async (t) => {
    const { api, call } = await setUp(t);
    api.publish(newSecret());
    const stream = call('FetchX509SVID');
    await svidOf(stream, 0);
    await api.close();
    assert.equal((await stream.outcome).code, GRPC_STATUS.unavailable);
  });
});
