import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { AuditTrail, type NewRecord } from '#audit/audit-trail.ts';
import { OtlpSink } from '#audit/otlp-sink.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const CALL: NewRecord = {
  type: 'access',
  at: '2026-01-22T09:00:00.000Z',
  decision: 'denied',
  protocol: 'http',
  workload: { namespace: 'shop', name: 'app', identity: 'spiffe://cluster.local/ns/shop/sa/app' },
  caller: 'spiffe://cluster.local/ns/web/sa/caller',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
};

interface Body {
  readonly resourceLogs: readonly [
    { readonly scopeLogs: readonly [{ readonly logRecords: readonly Record<string, unknown>[] }] },
  ];
}

/** A collector that answers with these statuses, then with 200. */
async function collector(t: TestContext, ...statuses: number[]) {
  const bodies: Body[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    bodies.push(JSON.parse(Buffer.concat(chunks).toString()) as Body);
    response.writeHead(statuses.shift() ?? 200).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { bodies, url: new URL(`http://127.0.0.1:${port}/v1/logs`) };
}

function trailTo(t: TestContext, url: URL) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const deps = { clock, random: systemRandom, log: silentLogger, metrics };
  const sinks = [new OtlpSink(url)];
  const trail = new AuditTrail({ directory: undefined, fileBytes: 1, files: 2, sinks }, deps);
  t.after(() => trail.close());
  return { trail, clock, metrics };
}

describe('the sink for a collector', () => {
  it('posts records as logs, several in one request', async (t) => {
    const { bodies, url } = await collector(t);
    const { trail } = trailTo(t, url);
    trail.record(CALL);
    trail.record({ type: 'gap', at: '2026-01-22T09:00:00.000Z', missing: 2, why: 'too many' });
    await waitUntil(() => bodies.length === 1, 'they came');
    const [first, second] = bodies[0]?.resourceLogs[0].scopeLogs[0].logRecords ?? [];
    assert.equal(first?.timeUnixNano, '1769072400000000000');
    assert.equal(first?.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    assert.deepEqual(first?.body, {
      stringValue: 'denied: spiffe://cluster.local/ns/web/sa/caller to shop/app',
    });
    assert.deepEqual(second?.body, { stringValue: '2 records are missing: too many' });
  });

  it('tries again when the collector is busy, and not when it refuses', async (t) => {
    const { bodies, url } = await collector(t, 503, 400);
    const { trail, clock, metrics } = trailTo(t, url);
    trail.record(CALL);
    await waitUntil(() => {
      clock.advance(1000);
      return bodies.length === 2;
    }, 'it is tried again');
    await waitUntil(
      async () => (await metrics.text()).includes('bulwark_audit_lost_total{sink="otlp"} 1'),
      'what is refused is lost',
    );
    trail.record(CALL);
    await waitUntil(() => bodies.length === 3, 'the next one is taken');
  });

  it('makes nobody wait while the collector is away', async (t) => {
    const { trail } = trailTo(t, new URL('http://127.0.0.1:1/v1/logs'));
    for (let number = 0; number < 50_000; number += 1) trail.record(CALL);
    await trail.close();
  });
});
