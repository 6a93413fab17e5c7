import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { ConnectionReports } from '#xds/serve/connection-reports.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

const NOW = Date.UTC(2026, 0);
const WORKLOAD = {
  nodeId: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  identity: parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web'),
  namespace: 'shop',
  workloadName: 'web',
  certificate: { serial: '1', authorityKeyId: undefined, notAfterAt: NOW },
};
const PORT = { port: 80, tls: 3, plaintext: 2, open: 1, plaintextMs: 50, callers: [] };

const report = (port: object) => JSON.stringify({ sinceMs: 100, ports: [{ ...PORT, ...port }] });

describe('what agents tell of connections', () => {
  it('is kept in instants of our own clock', () => {
    const reports = new ConnectionReports(new FakeClock(NOW));
    const callers = [{ address: '10.1.2.3', ms: 20 }];
    assert.equal(reports.take(WORKLOAD, 'stream', report({ callers })), undefined);
    assert.deepEqual(reports.of(WORKLOAD), {
      since: NOW - 100,
      ports: [
        {
          port: 80,
          tls: 3,
          plaintext: 2,
          open: 1,
          plaintextAt: NOW - 50,
          callers: [{ address: '10.1.2.3', lastAt: NOW - 20 }],
        },
      ],
    });
  });

  it('counts as long as the last stream of the workload is open', () => {
    const reports = new ConnectionReports(new FakeClock(NOW));
    reports.take(WORKLOAD, 'old', report({}));
    reports.take(WORKLOAD, 'new', report({ tls: 4 }));
    reports.closed(WORKLOAD, 'old');
    assert.equal(reports.of(WORKLOAD)?.ports[0]?.tls, 4);
    reports.closed(WORKLOAD, 'new');
    assert.equal(reports.of(WORKLOAD), undefined);
  });

  it('is refused when it is none, and what was told before stays', () => {
    const reports = new ConnectionReports(new FakeClock(NOW));
    reports.take(WORKLOAD, 'stream', report({}));
    for (const text of [
      5,
      '{',
      '[]',
      '{"sinceMs":1}',
      report({ port: -1 }),
      report({ tls: 1.5 }),
      report({ plaintextMs: '1' }),
      report({ callers: [{ address: 'someone', ms: 1 }] }),
      report({ callers: Array(LIMITS.connectionCallersMax + 1).fill({}) }),
      report({ tls: 5 }).padEnd(LIMITS.connectionReportBytesMax + 1),
    ])
      assert.equal(typeof reports.take(WORKLOAD, 'stream', text), 'string');
    assert.equal(reports.of(WORKLOAD)?.ports[0]?.tls, 3);
  });
});
