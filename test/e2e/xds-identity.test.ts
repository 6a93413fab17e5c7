import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { xdsAuthenticator } from '#controlplane/xds-authenticator.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { AdsServer } from '#xds/serve/ads-server.ts';
import { nodeMessage } from '../kit/ads-harness.ts';
import { startEnvoy, type TestEnvoy } from '../kit/envoy.ts';
import { adsBootstrap, httpListener, routeTo, snapshotOf } from '../kit/envoy-resources.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

// Proves with the real Envoy over mutual TLS that a proxy gets its configuration for the identity
// of its certificate, and none for what its node merely says.

const SERVER_NAME = 'istiod.istio-system.svc';

async function serve(t: TestContext) {
  const authority = testAuthority();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => void lines.push(line) } });
  const resources = [httpListener({ name: 'in', route: 'r' }), routeTo('r', 'none')];
  const ads = new AdsServer({
    log,
    clock: systemClock,
    metrics: new Metrics(),
    source: { snapshotFor: () => snapshotOf(resources) },
    authenticate: xdsAuthenticator({
      trustDomains: [parseTrustDomain('cluster.local')],
      authenticateToken: async () => {
        throw new GrpcStatusError(GRPC_STATUS.unauthenticated, 'no token');
      },
      isRevoked: () => false,
    }),
  });
  const own = authority.issue({ dnsNames: [SERVER_NAME] });
  const grpc = new GrpcServer(
    {
      name: 'xds',
      listen: { host: '127.0.0.1', port: 0 },
      tls: {
        privateKeyPem: new Secret(own.privateKey),
        certificateChainPem: own.certificate,
        clientCaPem: authority.root,
      },
      services: [ads.service],
      closeTimeoutMs: 500,
    },
    { log, clock: systemClock },
  );
  t.after(() => {
    ads.close();
    return grpc.close();
  });
  await grpc.start();
  const envoy = (certificate: TestCertificate | undefined, node = nodeMessage()) =>
    startEnvoy(t, {
      bootstrap: adsBootstrap({
        node: { id: node.id, metadata: node.metadata },
        at: { port: grpc.port },
        transportSocket: clientTls(authority.root, certificate),
      }),
    });
  return { authority, ads, lines, envoy };
}

function clientTls(root: string, own: TestCertificate | undefined) {
  const certificates = own && [
    {
      certificate_chain: { inline_string: own.certificate },
      private_key: { inline_string: own.privateKey },
    },
  ];
  return {
    name: 'tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: SERVER_NAME,
      common_tls_context: {
        ...(certificates ? { tls_certificates: certificates } : {}),
        validation_context: {
          trusted_ca: { inline_string: root },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: SERVER_NAME } }],
        },
      },
    },
  };
}

const refused = (lines: readonly string[], text: string) =>
  waitUntil(() => lines.find((line) => line.includes(text)), text);

async function hasListener(envoy: TestEnvoy): Promise<boolean> {
  return (await envoy.admin('/listeners')).includes('in::');
}

test('a proxy gets its configuration for the identity of its certificate', async (t) => {
  const { authority, ads, envoy } = await serve(t);
  const started = await envoy(authority.issue({ uris: ['spiffe://cluster.local/ns/ns/sa/sa'] }));
  await waitUntil(() => hasListener(started), 'the listener');
  assert.equal(ads.proxies()[0]?.identity, 'spiffe://cluster.local/ns/ns/sa/sa');
});

test('a proxy that claims what its certificate does not say gets nothing', async (t) => {
  const { authority, ads, lines, envoy } = await serve(t);
  const certificates = [
    'spiffe://cluster.local/ns/other/sa/sa',
    'spiffe://cluster.local/ns/ns/sa/x',
  ];
  for (const uri of certificates) {
    const started = await envoy(authority.issue({ uris: [uri] }));
    // The Envoy of the round before goes on trying.
    const isRefused = (line: string) =>
      line.includes('XDS_IDENTITY_MISMATCH') && line.includes(uri);
    await waitUntil(() => lines.some(isRefused), `${uri} is refused`);
    assert.equal(await hasListener(started), false);
  }
  assert.deepEqual(ads.proxies(), []);
});

test('without a certificate of our authority nobody gets anything', async (t) => {
  const { authority, ads, lines, envoy } = await serve(t);
  const uris = ['spiffe://cluster.local/ns/ns/sa/sa'];
  const foreign = testAuthority('foreign').issue({ uris });
  const otherDomain = authority.issue({ uris: ['spiffe://elsewhere/ns/ns/sa/sa'] });
  for (const certificate of [undefined, foreign, otherDomain]) {
    const started = await envoy(certificate);
    await refused(lines, 'stream refused');
    lines.length = 0;
    assert.equal(await hasListener(started), false);
  }
  assert.deepEqual(ads.proxies(), []);
});
