import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createAgentMetrics } from '#agent/metrics.ts';
import { SdsServer } from '#agent/sds/sds-server.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeAuthority, type IssuedPair } from '../fakes/fake-authority.ts';
import { startEnvoy } from '../kit/envoy.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const IDENTITY = 'spiffe://cluster.local/ns/a/sa/b';

/** The first value of a field of Envoy's `/certs`: of the roots or of the chain. */
type Certs = {
  readonly certificates: readonly {
    readonly ca_cert?: readonly { readonly serial_number: string }[];
    readonly cert_chain?: readonly { readonly serial_number: string }[];
  }[];
};

test('a rejected secret does not keep the next good ones from Envoy', async (t) => {
  const { sds, envoy, logLines } = await setUp(t);
  const [first, second] = [new FakeAuthority(systemClock), new FakeAuthority(systemClock)];
  const good = first.issue({ uris: [IDENTITY] });
  const other = second.issue({ uris: [IDENTITY] });
  sds.publish(secretOf(good, good, first));
  const shown = async (): Promise<{ roots: string; chain: string }> => {
    const { certificates } = JSON.parse(await envoy.admin('/certs')) as Certs;
    return {
      roots: certificates.flatMap((one) => one.ca_cert ?? [])[0]?.serial_number ?? '',
      chain: certificates.flatMap((one) => one.cert_chain ?? [])[0]?.serial_number ?? '',
    };
  };
  const before = await waitUntil(async () => {
    const seen = await shown();
    return seen.roots !== '' && seen.chain !== '' ? seen : undefined;
  }, 'the first certificate in use');

  // A key that is not that of the certificate, with new roots: Envoy takes neither.
  sds.publish(secretOf(other, good, second));
  await waitUntil(() => sds.outcomes.get('default')?.state === 'rejected', 'the rejection');
  assert.deepEqual(await shown(), before, 'the old ones stay in use');

  // Key and certificate that belong together. The roots are the same, yet Envoy needs them again.
  const third = second.issue({ uris: [IDENTITY] });
  sds.publish(secretOf(third, third, second));
  await waitUntil(async () => {
    const { roots, chain } = await shown();
    return roots !== before.roots && chain !== before.chain;
  }, 'the new ones in use');
  for (const name of ['default', 'ROOTCA'])
    await waitUntil(() => sds.outcomes.get(name)?.state === 'accepted', `${name} accepted`);
  assert.match(logLines.join(''), /KEY_VALUES_MISMATCH/);
});

/** A certificate with a key, which need not be its own, and the root of an authority. */
function secretOf(
  { certificatePem }: IssuedPair,
  { privateKeyPem }: IssuedPair,
  { rootPem }: FakeAuthority,
): WorkloadSecret {
  return {
    identity: parseSpiffeId(IDENTITY),
    privateKeyPem,
    chainPem: certificatePem,
    rootsPem: rootPem,
    serial: '1',
    notBeforeAt: 0,
    notAfterAt: 1,
    obtainedAt: 0,
  };
}

/** An Envoy whose one listener takes key and roots from an SDS server of the test. */
async function setUp(t: TestContext) {
  const socketPath = join(temporaryDirectory(t), 'sds.sock');
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } });
  const metrics = createAgentMetrics(new Metrics());
  const sds = new SdsServer({ socketPath }, { log, clock: systemClock, metrics });
  t.after(() => sds.close());
  await sds.start();
  const envoy = await startEnvoy(t, { bootstrap: bootstrapOf(socketPath) });
  return { sds, envoy, logLines };
}

function bootstrapOf(socketPath: string) {
  const types = 'type.googleapis.com/envoy.extensions';
  const fromSds = (name: string) => ({
    name,
    sds_config: {
      resource_api_version: 'V3',
      api_config_source: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'sds' } }],
      },
    },
  });
  const address = { pipe: { path: socketPath } };
  const sds = {
    name: 'sds',
    load_assignment: {
      cluster_name: 'sds',
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  const tls = {
    '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
    require_client_certificate: true,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [fromSds('default')],
      validation_context_sds_secret_config: fromSds('ROOTCA'),
    },
  };
  const proxy = {
    '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
    stat_prefix: 'none',
    cluster: 'sds',
  };
  return {
    node: { id: 'test', cluster: 'test' },
    static_resources: {
      clusters: [sds],
      listeners: [
        {
          name: 'tls',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            {
              filters: [{ name: 'tcp', typed_config: proxy }],
              transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
            },
          ],
        },
      ],
    },
  };
}
