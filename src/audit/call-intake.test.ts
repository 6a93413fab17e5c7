// Whose calls are recorded is what a stream proves, and nobody makes us hold more than we want.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import type { ToldCall } from '#audit/call-entry.ts';
import { CallIntake } from '#audit/call-intake.ts';
import type { LeftOut } from '#audit/call-rates.ts';
import { createAuditMetrics } from '#audit/metrics.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { StreamAccessLogsMessageSchema } from '#gen/envoy-api/envoy/service/accesslog/v3/als_pb.js';
import { parseTrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { nodeMessage } from '../../test/kit/ads-harness.ts';
import { serveGrpc } from '../../test/kit/grpc-server.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';
const trustDomain = parseTrustDomain('cluster.local');

/** A caller proves to be `app` of a namespace by naming it; without one it is unknown. */
async function intake(t: TestContext) {
  const calls: ToldCall[] = [];
  const samples: ToldCall[] = [];
  const left: LeftOut[] = [];
  const proven: string[] = [];
  const clock = new FakeClock();
  const made = new CallIntake({
    clock,
    log: silentLogger,
    metrics: createAuditMetrics(new Metrics()),
    authenticate: async ({ metadata }) => {
      const namespace = metadata.namespace;
      if (typeof namespace !== 'string')
        throw new GrpcStatusError(GRPC_STATUS.unauthenticated, 'authentication failure');
      const identity = workloadSpiffeId({ trustDomain, namespace, serviceAccount: 'app' });
      proven.push(identity);
      return { identity, namespace, serviceAccount: 'app' };
    },
    onCall: (call) => calls.push(call),
    onSample: (call) => samples.push(call),
    onLeftOut: (one) => left.push(one),
  });
  const { client } = await serveGrpc(t, made.service);
  const open = (namespace?: string) =>
    client.stream(PATH, namespace === undefined ? {} : { metadata: { namespace } });
  return { made, clock, calls, samples, left, proven, open };
}

function message(options: {
  logName?: string;
  count?: number;
  namespace?: string;
  path?: string;
  /** Callers that take turns. */
  callers?: number;
}) {
  const { logName = 'bulwark-audit', count = 1, namespace = 'default', path = '/' } = options;
  const { callers = 1000 } = options;
  const id = `sidecar~10.0.0.1~app-1.${namespace}~${namespace}.svc.cluster.local`;
  const metadata = { NAME: 'app-1', NAMESPACE: namespace, SERVICE_ACCOUNT: 'app' };
  const entry = (_: unknown, index: number) => {
    const peer = `spiffe://cluster.local/ns/web/sa/caller-${index % callers}`;
    return { commonProperties: { customTags: { method: 'GET', path, peer } } };
  };
  return toBinary(
    StreamAccessLogsMessageSchema,
    create(StreamAccessLogsMessageSchema, {
      identifier: { node: { ...nodeMessage(), id, metadata }, logName },
      logEntries: {
        case: 'tcpLogs',
        value: { logEntry: Array.from({ length: count }, entry) },
      },
    }),
  );
}

describe('the intake of calls', () => {
  it('takes calls of the workload that the stream proves, and samples apart', async (t) => {
    const { calls, samples, open } = await intake(t);
    open('default').send(message({ path: '/denied' }));
    open('default').send(message({ logName: 'bulwark-traffic', path: '/sampled' }));
    await waitUntil(() => calls.length === 1 && samples.length === 1, 'both came');
    assert.deepEqual(calls[0]?.workload, {
      namespace: 'default',
      name: 'app-1',
      identity: 'spiffe://cluster.local/ns/default/sa/app',
    });
    assert.deepEqual([calls[0]?.path, samples[0]?.path], ['/denied', '/sampled']);
  });

  it('refuses who proves nothing', async (t) => {
    const { calls, open } = await intake(t);
    const stream = open();
    stream.send(message({}));
    assert.equal((await stream.outcome).code, GRPC_STATUS.unauthenticated);
    assert.deepEqual(calls, []);
  });

  it('refuses who claims to be another workload', async (t) => {
    const { calls, open } = await intake(t);
    const stream = open('attacker');
    stream.send(message({ namespace: 'default' }));
    assert.equal((await stream.outcome).code, GRPC_STATUS.permissionDenied);
    assert.deepEqual(calls, []);
  });

  it('refuses other logs, and what is no message', async (t) => {
    const { open } = await intake(t);
    const other = open('default');
    other.send(message({ logName: 'mine' }));
    assert.equal((await other.outcome).code, GRPC_STATUS.invalidArgument);
    const garbage = open('default');
    garbage.send(Buffer.from([0xff, 0xff, 0xff]));
    assert.equal((await garbage.outcome).code, GRPC_STATUS.invalidArgument);
  });

  it('takes so many calls of an identity in a second, and tells the number of the others', async (t) => {
    const { clock, calls, samples, left, open } = await intake(t);
    const most = LIMITS.auditCallsPerSecondMax;
    open('default').send(message({ count: most }));
    open('default').send(message({ count: 5 }));
    open('default').send(message({ count: 1, logName: 'bulwark-traffic' }));
    open('other').send(message({ count: 1, namespace: 'other' }));
    await waitUntil(() => calls.length === most + 1 && samples.length === 1, 'the others came');
    await waitUntil(() => {
      clock.advance(1000);
      return left.length > 0;
    }, 'the rest is told');
    assert.deepEqual([left[0]?.count, left[0]?.isSample], [5, false]);
  });

  it('takes so many of one caller: who calls often does not push out others', async (t) => {
    const { clock, calls, left, open } = await intake(t);
    const most = LIMITS.auditCallsPerCallerMax;
    open('default').send(message({ count: most + 30, callers: 1 }));
    await waitUntil(() => calls.length === most, 'they came');
    open('default').send(message({ count: 2, callers: 2 }));
    await waitUntil(() => calls.length === most + 1, 'another caller is recorded');
    clock.advance(1000);
    assert.deepEqual(
      left.map(({ count }) => count),
      [31],
    );
  });

  it('ends the streams of who is revoked, and all of them when it closes', async (t) => {
    const { made, calls, open } = await intake(t);
    const [good, bad] = [open('default'), open('other')];
    good.send(message({}));
    bad.send(message({ namespace: 'other' }));
    await waitUntil(() => calls.length === 2, 'both are known');
    made.endStreams((_, identity) => identity.includes('/ns/other/'));
    assert.equal((await bad.outcome).code, GRPC_STATUS.unauthenticated);
    made.close();
    assert.equal((await good.outcome).code, GRPC_STATUS.unavailable);
  });

  it('ends the stream of who is revoked before the first message came', async (t) => {
    const { made, calls, proven, open } = await intake(t);
    const [good, bad] = [open('default'), open('other')];
    await waitUntil(() => proven.length === 2, 'both are open');
    made.endStreams((_, identity) => identity.includes('/ns/other/'));
    bad.send(message({ namespace: 'other' }));
    assert.equal((await bad.outcome).code, GRPC_STATUS.unauthenticated);
    good.send(message({}));
    await waitUntil(() => calls.length === 1, 'the other goes on');
    assert.equal(calls[0]?.workload.namespace, 'default');
  });
});
