import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { applicationEnvironment } from '#cli/run/application.ts';
import { planRun, type RunFlags } from '#cli/run/run-options.ts';

const FLAGS: RunFlags = {
  namespace: 'photo-ns',
  serviceAccount: 'web',
  protocol: 'http',
  upstream: [],
  label: [],
  readyTimeout: '60s',
};

describe('the flags of bulwark run', () => {
  it('for an application that only calls others give a workload without ports', async () => {
    const { workload, service, port } = await planRun({
      ...FLAGS,
      upstream: ['db.data:5432=15432'],
    });
    assert.equal(workload.name, 'web');
    assert.equal(workload.group, undefined);
    assert.deepEqual(workload.ports, []);
    assert.deepEqual(workload.upstreams, [{ host: 'db.data', port: 5432, listen: 15_432 }]);
    assert.deepEqual([service, port], [undefined, undefined]);
  });

  it('for a service name workload, group and labels after it', async () => {
    const { workload, service } = await planRun({ ...FLAGS, service: 'shop', port: '8080' });
    assert.deepEqual([workload.name, workload.group], ['shop', 'shop']);
    assert.deepEqual(workload.labels, { app: 'shop' });
    assert.deepEqual(workload.ports, [{ name: 'http', port: 8080, listen: 0 }]);
    assert.deepEqual([service?.servicePort, service?.port], [8080, 8080]);
  });

  it('with port 0 choose a free port, and 80 for the service', async () => {
    const { port, service } = await planRun({ ...FLAGS, service: 'shop', port: '0' });
    assert.ok(port !== undefined && port > 0);
    assert.deepEqual([service?.servicePort, service?.port], [80, port]);
  });

  it('that make no sense are refused by name', async () => {
    const cases: readonly [Partial<RunFlags>, RegExp][] = [
      [{ service: 'web' }, /--service needs --port/],
      [{ port: '70000' }, /--port is "70000"/],
      [{ port: '80', servicePort: '0' }, /--service-port is "0"/],
      [{ upstream: ['x'] }, /--upstream is "x"; accepted: HOST:PORT/],
      [{ readyTimeout: 'soon' }, /--ready-timeout is "soon"/],
      [{ label: ['x'] }, /--label is "x"/],
      [{ namespace: 'Photo' }, /--namespace is "Photo"/],
      [{ address: 'here' }, /--address is "here"/],
    ];
    for (const [changes, expected] of cases) {
      await assert.rejects(
        planRun({ ...FLAGS, ...changes }),
        (error) => isBulwarkError(error, 'CLI_USAGE') && expected.test(error.message),
      );
    }
  });
});

describe('the environment of an application', () => {
  const ports = {
    inboundAddress: '127.0.0.1',
    inbound: [],
    httpProxyPort: 30_001,
    upstreams: [{ host: 'db.data-ns', port: 5432, listen: 30_002 }],
  };

  it('names proxy, upstreams and port, and keeps the rest', () => {
    const env = applicationEnvironment({ HOME: '/home', NO_PROXY: 'intranet' }, ports, 8080);
    assert.deepEqual(env, {
      HOME: '/home',
      HTTP_PROXY: 'http://127.0.0.1:30001',
      http_proxy: 'http://127.0.0.1:30001',
      NO_PROXY: 'intranet,localhost,127.0.0.1,::1',
      no_proxy: 'intranet,localhost,127.0.0.1,::1',
      BULWARK_UPSTREAM_DB_DATA_NS_5432: '127.0.0.1:30002',
      PORT: '8080',
    });
  });

  it('of a redirected workload stays as it is', () => {
    const env = { HTTP_PROXY: 'mine' };
    assert.deepEqual(applicationEnvironment(env, undefined, undefined), env);
  });
});
