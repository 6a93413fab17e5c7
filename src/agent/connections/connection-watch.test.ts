import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCounts, parsePlaintextLine } from '#agent/connections/connection-counts.ts';
import { ConnectionWatch } from '#agent/connections/connection-watch.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

const INTERVAL_MS = 1000;

/** What Envoy says of connections to port 80, HTTP. */
function stats({ tls = 0, plaintext = 0, open = 0 }): string {
  return [
    `http.inbound_0.0.0.0_80;.downstream_cx_total: ${tls}`,
    `http.inbound_0.0.0.0_80;plaintext.downstream_cx_active: ${open}`,
    `http.inbound_0.0.0.0_80;plaintext.downstream_cx_total: ${plaintext}`,
  ].join('\n');
}

function line(address: string, chain = '80-plain-http'): string {
  return JSON.stringify({ kind: 'plaintext', chain, address });
}

function setUp() {
  const clock = new FakeClock();
  const envoy = { body: '', status: 200, run: 1 as number | undefined, asked: 0 };
  let news = 0;
  const registry = new Metrics();
  const watch = new ConnectionWatch(
    { intervalMs: INTERVAL_MS, run: () => envoy.run, onChange: () => (news += 1) },
    {
      clock,
      log: silentLogger,
      metrics: createAgentMetrics(registry),
      admin: {
        get: async () => {
          envoy.asked += 1;
          if (envoy.status === 0) throw new BulwarkError('NET_CONNECTION_FAILED', 'gone');
          return { status: envoy.status, body: envoy.body };
        },
      },
    },
  );
  return { clock, envoy, watch, registry, news: () => news, port: () => watch.report()?.ports[0] };
}

describe("Envoy's counts", () => {
  it('are told apart by port and by mutual TLS, of HTTP and TCP together', () => {
    const counts = parseCounts(
      [
        stats({ tls: 5, plaintext: 2, open: 1 }),
        'http.inbound_0.0.0.0_80;.downstream_cx_active: 4',
        'tcp.inbound_0.0.0.0_80;.downstream_cx_total: 3',
        'tcp.inbound_0.0.0.0_80;plaintext.downstream_cx_total: 1',
        'tcp.inbound_0.0.0.0_other;plaintext.downstream_cx_total: 7',
        'http.outbound_0.0.0.0_80;.downstream_cx_total: 9',
        'http.inbound_0.0.0.0_80;.downstream_rq_total: 9',
        '',
      ].join('\n'),
    );
    const found = counts.map(({ port, what, value }) => `${port} ${what} ${value}`);
    assert.deepEqual(found, [
      '80 tls 5',
      '80 open 1',
      '80 plaintext 2',
      '80 tls 3',
      '80 plaintext 1',
      '0 plaintext 7',
    ]);
  });
});

describe('a line about a caller', () => {
  it('without mutual TLS gives the port and the address', () => {
    assert.deepEqual(parsePlaintextLine(line('10.1.2.3')), { port: 80, address: '10.1.2.3' });
    const own = line('::1', '3306-own-tls-tcp');
    assert.deepEqual(parsePlaintextLine(own), { port: 3306, address: '::1' });
    assert.equal(parsePlaintextLine(line('10.1.2.3', 'other-plain-tcp'))?.port, 0);
  });

  it('of the mesh, of no chain, or about anything else, gives nothing', () => {
    for (const text of [
      line('10.1.2.3', '80-mesh-http'),
      line('10.1.2.3', ''),
      JSON.stringify({ kind: 'plaintext', address: '10.1.2.3' }),
      line('x'.repeat(65)),
      JSON.stringify({ kind: 'access', chain: '80-plain-http', address: '"plaintext"' }),
      '{"plaintext"',
    ])
      assert.equal(parsePlaintextLine(text), undefined);
  });
});

describe('the watch of connections', () => {
  it('looks once in an interval and tells only what changed', async () => {
    const { clock, envoy, watch, news, port } = setUp();
    watch.start();
    assert.equal(watch.report(), undefined);
    clock.advance(INTERVAL_MS - 1);
    assert.equal(envoy.asked, 0);
    clock.advance(1);
    assert.equal(envoy.asked, 1);
    envoy.body = stats({ tls: 2 });
    await watch.look();
    const before = news();
    await watch.look();
    assert.equal(news(), before);
    assert.deepEqual(port(), { port: 80, tls: 2, plaintext: 0, open: 0, callers: [] });
    envoy.body = stats({ tls: 3 });
    await watch.look();
    assert.equal(news(), before + 1);
    watch.close();
  });

  it('says since when it looks, and when somebody came without mutual TLS', async () => {
    const { clock, envoy, watch, port } = setUp();
    await watch.look();
    clock.advance(500);
    envoy.body = stats({ plaintext: 1 });
    await watch.look();
    clock.advance(700);
    await watch.look();
    assert.equal(watch.report()?.sinceMs, 1200);
    assert.equal(port()?.plaintextMs, 700);
    envoy.body = stats({ plaintext: 1, open: 1 });
    await watch.look();
    clock.advance(300);
    await watch.look();
    assert.equal(port()?.plaintextMs, 0, 'it is still there');
  });

  it('adds up over runs of Envoy', async () => {
    const { envoy, watch, port, registry } = setUp();
    envoy.body = stats({ tls: 10, plaintext: 4, open: 2 });
    await watch.look();
    envoy.run = undefined;
    await watch.look();
    envoy.run = 2;
    envoy.body = stats({ tls: 20, plaintext: 4 });
    await watch.look();
    const { tls, plaintext, open } = port() ?? {};
    assert.deepEqual({ tls, plaintext, open }, { tls: 30, plaintext: 8, open: 0 });
    const text = await registry.text();
    assert.match(text, /bulwark_agent_connections_total\{security="tls"\} 30/);
    assert.match(text, /bulwark_agent_connections_total\{security="plaintext"\} 8/);
  });

  it('adds up when Envoy begins to count anew, as after a change of modes', async () => {
    const { envoy, watch, port } = setUp();
    const tcp = 'tcp.inbound_0.0.0.0_80;plaintext.downstream_cx_total';
    envoy.body = `${stats({ plaintext: 4 })}\n${tcp}: 2`;
    await watch.look();
    assert.equal(port()?.plaintext, 6);
    envoy.body = stats({ plaintext: 1 });
    await watch.look();
    assert.equal(port()?.plaintext, 7);
    envoy.body = `${stats({ plaintext: 1 })}\n${tcp}: 2`;
    await watch.look();
    assert.equal(port()?.plaintext, 9);
  });

  it('goes on when Envoy does not answer', async () => {
    const { envoy, watch, port } = setUp();
    for (const status of [0, 503]) {
      envoy.status = status;
      await watch.look();
      assert.equal(watch.report(), undefined);
    }
    envoy.status = 200;
    envoy.body = stats({ tls: 1 });
    await watch.look();
    assert.equal(port()?.tls, 1);
  });

  it('begins anew when Envoy does not answer for long, and says so', async () => {
    const { clock, envoy, watch, news } = setUp();
    await watch.look();
    const before = news();
    envoy.status = 0;
    clock.advance(5000);
    await watch.look();
    await watch.look();
    assert.deepEqual([watch.report()?.sinceMs, news()], [5000, before]);
    await watch.look();
    assert.deepEqual([watch.report()?.sinceMs, news()], [0, before + 1]);
  });

  it('knows who came last, up to a number, and reads no more lines than it may', async () => {
    const { clock, watch, port } = setUp();
    await watch.look();
    for (let count = 0; count <= LIMITS.connectionCallersMax; count += 1) {
      clock.advance(1000);
      watch.take(line(`10.0.0.${count}`));
    }
    watch.take(line('10.0.0.5'));
    const { callers = [] } = port() ?? {};
    assert.equal(callers.length, LIMITS.connectionCallersMax);
    assert.deepEqual(callers[0], { address: '10.0.0.5', ms: 0 });
    assert.ok(!callers.some(({ address }) => address === '10.0.0.0'), 'the oldest made room');
    for (let count = 0; count < LIMITS.connectionLinesPerSecondMax; count += 1)
      watch.take(line('10.0.0.5'));
    watch.take(line('10.9.9.9'));
    assert.notEqual(port()?.callers[0]?.address, '10.9.9.9');
  });
});
