// AZ-4, GW-1: every action of policies, for HTTP and for connections, holds at a gateway, however
// the policy selects it; what was denied there is recorded as the gateway's.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type { AccessRecord, AuditView } from '#admin/audit.ts';
import { ADMIN_PATHS } from '#admin/contract.ts';
import type { ApiObject } from '#api/object.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import { startHttpAuthorizer } from '../kit/authorizer-service.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { freePort } from '../kit/free-port.ts';
import {
  applicationYaml,
  groupYaml,
  outsideYaml,
  policyYaml,
  yamlOf,
} from '../kit/mesh-objects.ts';
import { callPeer, httpRequest, openPeer, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import type { TestCertificate } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';
const CALLER = 'cluster.local/ns/default/sa/default';
const POLICIES = '/apis/security.istio.io/v1/namespaces/4-edge/authorizationpolicies';
const NAMES = ['ask', 'watch', 'no', 'tcp'];
const GATEWAY_API = '/apis/gateway.networking.k8s.io/v1/namespaces';
const IDENTITY = 'spiffe://cluster.local/ns/4-edge/sa/gate';

interface Conditions {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

interface Told {
  readonly status?: Conditions & { readonly parents?: readonly Conditions[] };
}

interface Ports {
  readonly http: number;
  /** Plain connections, and those of the mesh. */
  readonly tcp: number;
  readonly tls: number;
  readonly provider: number;
}

/** A namespace may begin with a number, as the names of chains of workloads do. */
const objects = ({ http, tcp, tls, provider }: Ports): string =>
  yamlOf(
    applicationYaml('greet', 'hello', ['http', 'tcp']),
    groupYaml('4-edge', 'gate', `, ${GATEWAY_NAME}: outside`),
    `
${outsideYaml('4-edge', http)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: hello, namespace: greet }
spec:
  parentRefs: [{ name: outside, namespace: 4-edge }]
  rules: [{ backendRefs: [{ name: hello, port: 80 }] }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: raw, namespace: 4-edge }
spec:
  selector: { app: gate }
  servers:
    - { port: { number: ${tcp}, name: tcp, protocol: TCP }, hosts: ['*'] }
    - port: { number: ${tls}, name: tls, protocol: TLS }
      hosts: ['*']
      tls: { mode: ISTIO_MUTUAL }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: raw, namespace: greet }
spec:
  hosts: ['*']
  gateways: [4-edge/raw]
  tcp: [{ route: [{ destination: { host: hello, port: { number: 81 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: sessions, namespace: greet }
spec:
  hosts: [sessions.tools]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 9000, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${provider} } }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
      - name: sessions
        envoyExtAuthzHttp: { service: sessions.tools, port: 9000 }
`,
  );

const policy = (name: string, selects: string, rest: string): string =>
  policyYaml('4-edge', name, `{ ${selects}, ${rest} }`);

function policies(
  way: string,
  selects: string,
  { http, tcp, tls }: Ports,
  principal: string,
): string {
  // Without its port a rule about paths would be about every connection that is not HTTP, as well.
  const at = (path: string) =>
    `rules: [{ to: [{ operation: { paths: [${path}], ports: ['${http}'] } }] }]`;
  const from = (source: string, port: number) =>
    `{ from: [{ source: { ${source} } }], to: [{ operation: { ports: ['${port}'] } }] }`;
  const raw = [from('ipBlocks: [127.0.0.1]', tcp), from(`principals: [${principal}]`, tls)];
  return [
    policy(`ask-${way}`, selects, `action: CUSTOM, provider: { name: sessions }, ${at('/asked')}`),
    policy(`watch-${way}`, selects, `action: AUDIT, ${at('/watched')}`),
    policy(`no-${way}`, selects, `action: DENY, ${at('/no')}`),
    policy(`tcp-${way}`, selects, `action: DENY, rules: [${raw}]`),
  ].join('---');
}

async function startGateway(t: TestContext) {
  const provider = await startHttpAuthorizer(t);
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const [http, tcp, tls] = [await freePort(), await freePort(), await freePort()];
  const ports = { http, tcp, tls, provider: provider.port };
  await mesh.apply(objects(ports));
  const own = [
    { name: 'http', port: await startEchoApp(t, 'hello') },
    { name: 'tcp', port: (await startTcpApp(t)).port },
  ];
  const workload = (namespace: string, name: string, more: object) => {
    return { namespace, serviceAccount: name, group: name, name: `${name}-1`, ...more };
  };
  await mesh.runAgent('agent', {
    // Longer than the test waits: what ends does not end for that.
    drainDuration: '5m',
    workloads: [
      workload('greet', 'hello', { app: { ports: own } }),
      workload('4-edge', 'gate', { mode: 'gateway', bindAddress: '127.0.0.1' }),
    ],
  });
  return { mesh, ports, provider };
}

/** A certificate of the mesh, of `CALLER`. */
async function callerOf(t: TestContext, mesh: RealMesh): Promise<TestCertificate> {
  const caller = await CertificateCaller.connect(mesh.data);
  t.after(() => caller.close());
  const keys = generateKeyPair();
  const { der } = await caller.sign(keys);
  const privateKey = privateKeyToPem(keys.privateKey).reveal();
  return { certificate: encodePem('CERTIFICATE', der), privateKey };
}

test('policies of every action hold at a gateway', { timeout: 240_000 }, async (t) => {
  const { mesh, ports, provider } = await startGateway(t);
  const certificate = await callerOf(t, mesh);
  provider.verdict = () => ({ status: 401 });
  const ask = async (path: string) =>
    statusOf(await callPeer({ port: ports.http, data: httpRequest(path) }));
  const echoes = async (of: 'tcp' | 'tls') => {
    const call = { port: ports[of], data: 'hello', ...(of === 'tls' && { certificate, alpn: [] }) };
    return (await callPeer(call, /hello/)).text === 'hello';
  };
  const records = async (): Promise<readonly AccessRecord[]> => {
    const found = await mesh.api.expect({ method: 'GET', path: ADMIN_PATHS.audit });
    return (found as AuditView).records.filter((one) => one.type === 'access');
  };
  const isUp = async () => (await ask('/')) === 200 && (await echoes('tcp')) && echoes('tls');
  await waitUntil(isUp, 'everything is served');
  await t.test('a revocation ends silent connections to workloads through it', async (t) => {
    const socket = openPeer({ port: ports.tcp, data: '' });
    t.after(() => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.write('hello');
    await once(socket, 'data');
    socket.resume();
    await mesh.command('cert', 'revoke', '--serial', 'ab12');
    await waitUntil(() => socket.closed, 'it ends', { withinMs: 60_000 });
    await waitUntil(() => echoes('tcp'), 'others are let in');
    await mesh.command('cert', 'unrevoke', '--serial', 'ab12');
  });

  await t.test('the status of objects of the Gateway API says that it is', async () => {
    const isTold = async () => {
      const own = await mesh.get<ApiObject & Told>(`${GATEWAY_API}/4-edge/gateways/outside`);
      const route = await mesh.get<ApiObject & Told>(`${GATEWAY_API}/greet/httproutes/hello`);
      const conditions = [own?.status, route?.status?.parents?.[0]].map((one) =>
        one?.conditions?.map(({ type, status }) => `${type} ${status}`).join(),
      );
      return (
        conditions.join(' | ') === 'Accepted True,Programmed True | Accepted True,ResolvedRefs True'
      );
    };
    await waitUntil(isTold, 'conditions that are true', { withinMs: 60_000, everyMs: 100 });
  });

  const reference = '{ group: gateway.networking.k8s.io, kind: Gateway, name: outside }';
  const ways = {
    labels: 'selector: { matchLabels: { app: gate } }',
    ref: `targetRefs: [${reference}]`,
  };
  for (const [way, selects] of Object.entries(ways)) {
    await t.test(`that selects by ${way}`, async () => {
      provider.questions.length = 0;
      await mesh.enforce(policies(way, selects, ports, CALLER));
      const isKnown = async () =>
        (await ask('/no')) === 403 && (await ask('/asked')) === 401 && !(await echoes('tls'));
      await waitUntil(isKnown, 'the policies are there');
      assert.equal(await ask('/watched'), 200);
      assert.equal(await echoes('tcp'), false, 'by address and port');
      assert.match(provider.questions[0]?.path ?? '', /^\/asked/);
      await mesh.apply(policies(way, selects, ports, 'cluster.local/ns/default/sa/other'));
      await waitUntil(() => echoes('tls'), 'who is somebody else is let through');
      assert.equal(await echoes('tcp'), false);
    });

    await t.test(`and is told by the gateway, with its port (${way})`, async () => {
      const wanted = [
        ['denied', 'http', `4-edge/no-${way}`, 0, ports.http, undefined],
        ['denied', 'http', `4-edge/ask-${way}`, 0, ports.http, undefined],
        ['allowed', 'http', `4-edge/watch-${way}`, 0, ports.http, undefined],
        ['denied', 'tcp', `4-edge/tcp-${way}`, 0, ports.tcp, undefined],
        ['denied', 'tcp', `4-edge/tcp-${way}`, 1, ports.tls, `spiffe://${CALLER}`],
      ].map((one) => JSON.stringify([...one, 'gate-1', IDENTITY]));
      await waitUntil(async () => {
        const told = new Set((await records()).map(factsOf));
        return wanted.every((one) => told.has(one));
      }, 'everything is recorded');
      const metrics = await mesh.agentMetrics('agent');
      for (const [name, decision] of Object.entries({ no: 'denied', watch: 'audited' }))
        assert.match(metrics, new RegExp(`policy="4-edge/${name}-${way}".*decision="${decision}"`));
    });
    for (const name of NAMES) {
      const path = `${POLICIES}/${name}-${way}`;
      await mesh.api.expect({ method: 'DELETE', path });
    }
    const areGone = async () =>
      (await ask('/no')) === 200 && (await ask('/asked')) === 200 && (await echoes('tcp'));
    await waitUntil(areGone, 'they are gone');
  }
});

/** A record, as far as it is compared. */
function factsOf(record: AccessRecord): string {
  const { decision, protocol, policy, rule, port, caller, workload } = record;
  const [who, which] = [policy ?? record.auditedBy, rule ?? record.auditRule];
  const facts = [decision, protocol, who, which, port, caller, workload.name, workload.identity];
  return JSON.stringify(facts);
}
