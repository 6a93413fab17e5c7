// Every combination of who says which mode on which level, what a DestinationRule says, whether the
// caller has a sidecar, and what is spoken: real Envoys do what the table below says.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { callHttp2, startGrpcApp } from '../kit/http2-call.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const APIS = ['new', 'old'] as const;
const MODES = ['none', 'DISABLE', 'PERMISSIVE', 'STRICT'] as const;
const LEVELS = ['mesh', 'namespace', 'workload', 'port'] as const;
const RULES = ['none', 'DISABLE', 'SIMPLE', 'ISTIO_MUTUAL'] as const;
const CALLERS = ['sidecar', 'plain'] as const;
/** Each is the name of a service of its own, of its port, and of the application's port. */
const PROTOCOLS = ['http', 'http2', 'grpc', 'tcp'] as const;

type Mode = (typeof MODES)[number];
type Rule = (typeof RULES)[number];
type Protocol = (typeof PROTOCOLS)[number];

/** Which callers are answered; the applications speak no TLS of their own. */
const ANSWERED: Readonly<Record<(typeof CALLERS)[number], (mode: Mode, rule: Rule) => boolean>> = {
  plain: (mode) => mode !== 'STRICT',
  sidecar: (mode, rule) => {
    switch (rule) {
      case 'none':
        return true;
      case 'DISABLE':
        return mode !== 'STRICT';
      case 'SIMPLE':
        return false;
      case 'ISTIO_MUTUAL':
        return mode !== 'DISABLE';
    }
  },
};

const SERVICES = PROTOCOLS.map(
  (name) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: backend }, ports: [{ name: ${name}, port: 80, targetPort: ${name} }] }
`,
).join('---');

/** The objects that say the mode. `ports` are those of the application. */
function said(
  api: (typeof APIS)[number],
  mode: Mode,
  level: (typeof LEVELS)[number],
  ports: Readonly<Record<Protocol, number>>,
): readonly ApiObject[] {
  if (mode === 'none') return [];
  const whole = level === 'mesh';
  if (api === 'new') {
    const selector = 'selector: { matchLabels: { app: backend } }';
    const perPort = Object.values(ports).map((port) => `${port}: { mode: ${mode} }`);
    const specs = {
      mesh: `mtls: { mode: ${mode} }`,
      namespace: `mtls: { mode: ${mode} }`,
      workload: `${selector}, mtls: { mode: ${mode} }`,
      port: `${selector}, portLevelMtls: { ${perPort.join(', ')} }`,
    };
    return objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: said, namespace: ${whole ? 'istio-system' : 'shop'} }
spec: { ${specs[level]} }
`);
  }
  const peers = mode === 'DISABLE' ? '' : `peers: [{ mtls: { mode: ${mode} } }]`;
  const onPort = level === 'port' ? ', ports: [{ number: 80 }]' : '';
  const targets = PROTOCOLS.map((name) => `{ name: ${name}${onPort} }`).join(', ');
  const narrow = level === 'workload' || level === 'port';
  return objectsOf(`
apiVersion: authentication.istio.io/v1alpha1
kind: ${whole ? 'MeshPolicy' : 'Policy'}
metadata: { name: ${narrow ? 'said' : 'default'}${whole ? '' : ', namespace: shop'} }
spec: { ${narrow ? `targets: [${targets}]${peers === '' ? '' : ', '}` : ''}${peers} }
`);
}

function rule(mode: Rule): readonly ApiObject[] {
  if (mode === 'none') return [];
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: said, namespace: web }
spec: { host: "*.shop.svc.cluster.local", trafficPolicy: { tls: { mode: ${mode} } } }
`);
}

/** Whether a call to a port on loopback is answered by the application. */
async function isAnswered(protocol: Protocol, port: number): Promise<boolean> {
  switch (protocol) {
    case 'http':
      return statusOf(await callPeer({ port, data: httpRequest('/') })) === 200;
    case 'tcp':
      return (await callPeer({ port, data: 'PING\n' }, /PING\n/)).text === 'PING\n';
    case 'http2':
    case 'grpc': {
      const { status, grpcStatus } = await callHttp2(connect(port, '127.0.0.1'), protocol);
      return status === 200 && grpcStatus === '0';
    }
  }
}

test('the matrix of mutual TLS', { timeout: 300_000 }, async (t) => {
  const objects = [
    ...objectsOf(SERVICES),
    groupObject('shop', 'backend'),
    groupObject('web', 'caller'),
  ];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const ports = {
    http: await startEchoApp(t, 'http'),
    http2: await startGrpcApp(t),
    grpc: await startGrpcApp(t),
    tcp: (await startTcpApp(t)).port,
  };
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports });
  const upstreams = PROTOCOLS.map((name) => ({ host: `${name}.shop`, port: 80 }));
  const rootFiles = { 'file-root:system': mesh.authority.root };
  const options = { namespace: 'web', name: 'caller', upstreams, rootFiles };
  const caller = await mesh.start(t, options);

  const look = () =>
    Promise.all(
      CALLERS.flatMap((from) =>
        PROTOCOLS.map(async (protocol) => {
          const port =
            from === 'plain'
              ? backend.listenPort(protocol)
              : caller.upstreamPort(`${protocol}.shop`);
          return `${from} ${protocol} ${await isAnswered(protocol, port)}`;
        }),
      ),
    );
  let current: readonly ApiObject[] = [];
  const change = async (next: readonly ApiObject[]): Promise<void> => {
    mesh.mesh.remove(...current);
    mesh.mesh.put(...next);
    current = next;
    mesh.publish();
    await mesh.settled();
  };

  let cells = 0;
  for (const api of APIS) {
    for (const mode of MODES) {
      for (const level of LEVELS) {
        for (const tls of RULES) {
          const name = `${api} API, ${mode} on level ${level}, DestinationRule ${tls}`;
          const expected = CALLERS.flatMap((from) =>
            PROTOCOLS.map((protocol) => `${from} ${protocol} ${ANSWERED[from](mode, tls)}`),
          );
          await change([...said(api, mode, level, ports), ...rule(tls)]);
          let seen: readonly string[] = [];
          const settled = waitUntil(async () => {
            seen = await look();
            return seen.join() === expected.join() || undefined;
          }, name);
          await settled.catch(() => assert.deepEqual(seen, expected, name));
          cells += expected.length;
        }
      }
    }
  }
  assert.equal(cells, 1024);
});
