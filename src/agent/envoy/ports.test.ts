import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { choosePorts, compulsoryPorts, reservePorts } from '#agent/envoy/ports.ts';
import { isBulwarkError } from '#base/errors.ts';

const WORKLOAD: WorkloadOptions = {
  namespace: 'photo-ns',
  serviceAccount: 'web',
  name: 'web',
  mode: 'explicit',
  addresses: ['127.0.0.1'],
  labels: {},
  ports: [
    { name: 'http', port: 8080, listen: 0 },
    { name: 'grpc', port: 9090, listen: 0 },
  ],
  upstreams: [{ host: 'db.data-ns', port: 5432, listen: 0 }],
  httpProxyPort: 0,
};

/** A listening server on a free port. */
async function occupied(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address ? address.port : assert.fail('no port');
}

describe('the ports of an Envoy in explicit mode', () => {
  it('are chosen free and different for everything left open', async () => {
    const ports = await choosePorts(WORKLOAD);
    const all = [...compulsoryPorts(ports), ...ports.upstreams.map(({ listen }) => listen)];
    assert.equal(all.length, 4);
    assert.equal(new Set(all).size, 4);
    assert.ok(all.every((port) => port > 0));
    assert.equal(ports.inbound[1]?.port, 9090);
  });

  it('are not those of another Envoy that is about to start', async () => {
    const wish = { address: '127.0.0.1', port: 0 };
    const all = [];
    // By chance alone some of so many would be the same.
    for (let count = 0; count < 500; count += 1) all.push(...(await reservePorts([wish, wish])));
    assert.equal(new Set(all).size, 1000);
  });

  it('are those of the configuration where it names them', async () => {
    const free = (await choosePorts(WORKLOAD)).httpProxyPort;
    assert.equal((await choosePorts({ ...WORKLOAD, httpProxyPort: free })).httpProxyPort, free);
  });

  it('in use are refused by number', async (t) => {
    const port = await occupied(t);
    await assert.rejects(
      choosePorts({ ...WORKLOAD, upstreams: [{ host: 'a', port: 80, listen: port }] }),
      (error) => isBulwarkError(error, 'NET_PORT_TAKEN') && error.message.includes(String(port)),
    );
  });
});
