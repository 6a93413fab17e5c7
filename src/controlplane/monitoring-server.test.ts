import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { Metrics } from '#base/metrics.ts';
import { MonitoringServer } from '#controlplane/monitoring-server.ts';

const host = '127.0.0.1';

async function started(t: TestContext, isReady = () => true): Promise<MonitoringServer> {
  const metrics = new Metrics();
  metrics.counter({ name: 'pilot_xds_pushes', help: 'Pushes.' }).inc();
  const server = new MonitoringServer({ host, port: 0 }, { metrics, isReady });
  await server.start();
  t.after(() => server.close());
  return server;
}

async function get(server: MonitoringServer, path: string, method = 'GET') {
  const response = await fetch(`http://${host}:${server.port}${path}`, { method });
  return { status: response.status, body: await response.text() };
}

describe('monitoring', () => {
  it('shows metrics and health', async (t) => {
    const server = await started(t);
    assert.match((await get(server, '/metrics')).body, /pilot_xds_pushes 1/);
    assert.equal((await get(server, '/healthz')).status, 200);
    assert.equal((await get(server, '/ready')).status, 200);
  });

  it('says when the server is not ready', async (t) => {
    const server = await started(t, () => false);
    assert.equal((await get(server, '/ready')).status, 503);
    assert.equal((await get(server, '/healthz')).status, 200);
  });

  it('has no debug page and takes no other method', async (t) => {
    const server = await started(t);
    for (const path of ['/debug/configz', '/debug/list', '/debug/pprof', '/', '/metrics/x']) {
      assert.equal((await get(server, path)).status, 404, path);
    }
    assert.equal((await get(server, '/metrics', 'POST')).status, 405);
  });

  it('names the port that is taken and the way out', async (t) => {
    const server = await started(t);
    const deps = { metrics: new Metrics(), isReady: () => true };
    await assert.rejects(
      new MonitoringServer({ host, port: server.port }, deps).start(),
      (error) =>
        isBulwarkError(error, 'NET_PORT_TAKEN') &&
        error.message.includes(String(server.port)) &&
        /--monitoring-port/.test(error.remedy ?? ''),
    );
  });
});
