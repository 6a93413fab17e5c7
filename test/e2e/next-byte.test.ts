// What becomes of open TCP connections where no agent can end them: a change of the policy of their
// port ends them at the next byte, whichever side it is from. The real Envoy, and our xDS server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { TYPE_URL, type TypeUrl, type XdsResource, type XdsSnapshot } from '#xds/resource.ts';
import { serveAds, socketPath } from '../kit/ads-envoy.ts';
import { nodeMessage } from '../kit/ads-harness.ts';
import { AGENT_BOOTSTRAP } from '../kit/agent-bootstrap.ts';
import { startTcpApp } from '../kit/echo-app.ts';
import { startEnvoy } from '../kit/envoy.ts';
import { adsBootstrap } from '../kit/envoy-resources.ts';
import { freePort } from '../kit/free-port.ts';
import { testMesh, testProxy } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { waitUntil } from '../kit/wait-until.ts';

const PLAINTEXT = objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: DISABLE } }
`);

const denyOn = (port: number) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: db, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ['${port}'] } }] }] }
`);

/** A connection on which the application answered; undefined when it is refused. */
async function open(t: TestContext, port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.write('hello');
  const answered = once(socket, 'data').then(() => true);
  const ended = once(socket, 'close').then(() => false);
  return (await Promise.race([answered, ended])) ? socket : undefined;
}

/** What calls to the workload need: nobody here has secrets for others. */
function inboundPart(snapshot: XdsSnapshot): XdsResource[] {
  const named = (typeUrl: TypeUrl, wanted: string): XdsResource[] =>
    [...(snapshot.get(typeUrl)?.values() ?? [])].filter(({ name }) => name.startsWith(wanted));
  return [
    ...named(TYPE_URL.cluster, 'inbound'),
    ...named(TYPE_URL.listener, 'inbound'),
    ...named(TYPE_URL.extensionConfig, ''),
  ];
}

/** An Envoy beside two ports; nothing ends only because it drains. */
async function startProxy(t: TestContext) {
  const names = ['tcp', 'tcp-other'] as const;
  const ports = [];
  for (const name of names) {
    const { port } = await startTcpApp(t);
    ports.push({ name, port, listen: await freePort() });
  }
  const services = serviceObjects('shop', 'db', ports);
  const mesh = testMesh([...services, ...PLAINTEXT]);
  const proxy = testProxy({
    namespace: 'shop',
    serviceAccount: 'db',
    labels: { app: 'db' },
    interception: 'explicit',
    explicit: {
      inboundAddress: '127.0.0.1',
      inbound: ports,
      httpProxyPort: await freePort(),
      upstreams: [],
    },
  });
  const resources = () => inboundPart(mesh.generator.snapshotFor(proxy, mesh.model.snapshot()));
  const path = socketPath(t);
  const { publish } = await serveAds(t, path, resources());
  const { id, metadata } = nodeMessage();
  const envoy = await startEnvoy(t, {
    bootstrap: { ...adsBootstrap({ node: { id, metadata }, at: { path } }), ...AGENT_BOOTSTRAP },
    args: ['--drain-strategy', 'immediate', '--drain-time-s', '600'],
  });
  await envoy.ready();
  const [tcp, other] = ports;
  assert.ok(tcp && other);
  const deny = (): void => {
    mesh.put(...denyOn(tcp.port));
    publish(resources());
  };
  return { tcp, other, deny };
}

test('where no agent ends them, connections end at their next byte', async (t) => {
  const { tcp, other, deny } = await startProxy(t);
  const talking = await waitUntil(() => open(t, tcp.listen), 'a connection');
  const elsewhere = await waitUntil(() => open(t, other.listen), 'one to another port');
  talking.resume();
  const talk = setInterval(() => talking.write('on'), 5);
  t.after(() => clearInterval(talk));
  deny();
  await waitUntil(() => talking.closed, 'it is closed');
  assert.equal(await open(t, tcp.listen), undefined, 'who comes back finds the new policy');
  elsewhere.write('still there');
  assert.match(String(await once(elsewhere, 'data')), /still there/);
});
