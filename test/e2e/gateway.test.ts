// AZ-4, GW-1: a gateway run by an agent, and policies at it and at the service behind it.
import assert from 'node:assert/strict';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type TestContext, test } from 'node:test';
import { bulwark } from '../kit/bulwark.ts';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { freePort } from '../kit/free-port.ts';
import { secretObject } from '../kit/https-app.ts';
import {
  accountsYaml,
  applicationYaml,
  groupYaml,
  outsideYaml,
  policyYaml,
  secretReaderYaml,
  yamlOf,
} from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';
const HELLO = 'hello.example.com';
const READY_MS_MAX = 60_000;
const SENSITIVE = 'sensitive.example.com';
const IN_MESH = 'hello-world.greet';

type Ports = Readonly<Record<'http' | 'https' | 'kube' | 'vault', number>>;

const objects = ({ http, https, kube, vault }: Ports): string =>
  yamlOf(
    applicationYaml('greet', 'hello-world'),
    groupYaml('app', 'caller'),
    groupYaml('elsewhere', 'caller'),
    groupYaml('edge', 'gate', `, ${GATEWAY_NAME}: outside`),
    accountsYaml('edge', 'vault'),
    `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec:
  selector: { app: gate }
  servers:
    - { port: { number: ${http}, name: http, protocol: HTTP }, hosts: ['greet/*'] }
    - port: { number: ${https}, name: https, protocol: HTTPS }
      hosts: [${HELLO}]
      tls: { mode: MUTUAL, credentialName: hello }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hello, namespace: greet }
spec:
  hosts: [${HELLO}, also.example.com]
  gateways: [edge/front]
  http: [{ route: [{ destination: { host: hello-world, port: { number: 80 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: vault, namespace: edge }
spec:
  selector: { app: vault }
  servers:
    - { port: { number: ${vault}, name: http, protocol: HTTP }, hosts: [greet/${SENSITIVE}] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: sensitive, namespace: greet }
spec:
  hosts: [${SENSITIVE}]
  gateways: [edge/vault]
  http: [{ route: [{ destination: { host: hello-world, port: { number: 80 } } }] }]
---
${outsideYaml('edge', kube)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: api, namespace: greet }
spec:
  parentRefs: [{ name: outside, namespace: edge }]
  hostnames: [${HELLO}]
  rules:
    - matches: [{ path: { value: /api } }]
      backendRefs: [{ name: hello-world, port: 80 }]
`,
  );

const BINDINGS = '/apis/rbac.authorization.k8s.io/v1/namespaces/edge/rolebindings';

const TRUSTING_ONE_PROXY = `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: 'defaultConfig: { gatewayTopology: { numTrustedProxies: 1 } }' }
`;

const policy = (namespace: string, spec: string): string => policyYaml(namespace, 'p', spec);

interface Answer {
  readonly status: number;
  readonly seen: SeenRequest | undefined;
}

function ask(options: RequestOptions, make = httpRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = make({ host: '127.0.0.1', agent: false, ...options }, async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      const { statusCode: status = 0 } = response;
      resolve({ status, seen: status === 200 ? (JSON.parse(text) as SeenRequest) : undefined });
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** The mesh, and what asks: from outside, or as a caller of a namespace. */
async function startGateway(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const ports = {
    http: await freePort(),
    https: await freePort(),
    kube: await freePort(),
    vault: await freePort(),
  };
  await mesh.apply(objects(ports));
  const port = await startEchoApp(t, 'hello');
  const callers = { app: await freePort(), elsewhere: await freePort() };
  const workload = (namespace: string, name: string, more: object = {}) => {
    return { namespace, serviceAccount: name, group: name, name: `${name}-${namespace}`, ...more };
  };
  await mesh.runAgent('agent', {
    workloads: [
      workload('greet', 'hello-world', { app: { ports: [{ name: 'http', port }] } }),
      workload('app', 'caller', { httpProxyPort: callers.app }),
      workload('elsewhere', 'caller', { httpProxyPort: callers.elsewhere }),
      workload('edge', 'gate', { mode: 'gateway', bindAddress: '127.0.0.1' }),
    ],
  });
  const who = ['-n', 'edge', '--service-account', 'vault', '--bind-address', '127.0.0.1'];
  const vault = bulwark(['gateway', ...who, '--kubeconfig', mesh.kubeconfig]);
  t.after(() => vault.stop());
  await vault.waitForLine((line) => line === 'ready' || undefined, READY_MS_MAX);
  await mesh.api.expect({ method: 'GET', path: `${BINDINGS}/bulwark-gateway-vault` });
  const outside = (host = HELLO, headers: RequestOptions['headers'] = {}, path = '/') =>
    ask({ port: ports.http, path, headers: { ...headers, host } });
  const inside = (namespace: keyof typeof callers) =>
    ask({ port: callers[namespace], path: `http://${IN_MESH}/`, headers: { host: IN_MESH } });
  const routed = (path: string) => ask({ port: ports.kube, path, headers: { host: HELLO } });
  const apart = (host: string) => ask({ port: ports.vault, headers: { host } });
  return { mesh, https: ports.https, outside, inside, routed, apart };
}

test('a gateway leads callers to a service, and policies decide at both', {
  timeout: 240_000,
}, async (t) => {
  const { mesh, https, outside, inside, routed, apart } = await startGateway(t);
  const becomes = (what: () => Promise<Answer>, status: number) =>
    waitUntil(async () => {
      const answer = await what().catch(() => undefined);
      return answer?.status === status ? answer : undefined;
    }, `an answer ${status}`);
  const path = (namespace: string) =>
    `/apis/security.istio.io/v1/namespaces/${namespace}/authorizationpolicies/p`;
  /** Holds for one part of the test. */
  const withPolicy = async (namespace: string, spec: string, check: () => Promise<void>) => {
    await mesh.apply(policy(namespace, spec));
    await check();
    await mesh.api.expect({ method: 'DELETE', path: path(namespace) });
    await becomes(outside, 200);
  };

  const answer = await becomes(outside, 200);
  await t.test('the service sees the identity of the gateway, and nothing spoofed', async () => {
    const spoofed = { 'x-forwarded-for': '9.9.9.9', 'x-forwarded-client-cert': 'URI=spiffe://x' };
    const { seen } = await outside(HELLO, spoofed);
    const identity = 'URI=spiffe://cluster.local/ns/edge/sa/gate';
    for (const { headers } of [answer.seen, seen].flatMap((one) => one ?? [])) {
      assert.match(String(headers['x-forwarded-client-cert']), new RegExp(identity));
      assert.doesNotMatch(JSON.stringify(headers), /9\.9\.9\.9|spiffe:\/\/x/);
    }
    assert.equal((await outside('other.example.com')).status, 404);
  });

  await t.test('only the namespace app may reach hello-world', async () => {
    const allow = '{ rules: [{ from: [{ source: { namespaces: [app] } }] }] }';
    await withPolicy('greet', allow, async () => {
      await becomes(outside, 403);
      await becomes(() => inside('elsewhere'), 403);
      assert.equal((await inside('app')).status, 200);
    });
  });

  await t.test('hosts and addresses are denied at the gateway, by its labels', async () => {
    const deny = (rule: string) =>
      `{ selector: { matchLabels: { app: gate } }, action: DENY, rules: [${rule}] }`;
    await withPolicy('edge', deny(`{ to: [{ operation: { hosts: [${HELLO}] } }] }`), async () => {
      await becomes(outside, 403);
      assert.equal((await outside('also.example.com')).status, 200);
    });
    const address = '{ from: [{ source: { remoteIpBlocks: [127.0.0.1] } }] }';
    await withPolicy('edge', deny(address), async () => {
      await becomes(outside, 403);
      assert.equal((await inside('app')).status, 200);
    });
  });

  await t.test('a gateway of its own serves the hosts that nobody else may', async () => {
    assert.equal((await becomes(() => apart(SENSITIVE), 200)).seen?.app, 'hello');
    assert.equal((await outside(SENSITIVE)).status, 404);
    assert.equal((await apart(HELLO)).status, 404);
  });

  await t.test('behind a proxy that is trusted, the address that it tells counts', async () => {
    const deny = '{ action: DENY, rules: [{ from: [{ source: { remoteIpBlocks: [9.9.9.9] } }] }] }';
    const told = (address: string) => outside(HELLO, { 'x-forwarded-for': address });
    await withPolicy('edge', deny, async () => {
      assert.equal((await told('9.9.9.9')).status, 200);
      await mesh.apply(TRUSTING_ONE_PROXY);
      await becomes(() => told('9.9.9.9'), 403);
      assert.equal((await told('9.9.9.9, 8.8.8.8')).status, 200);
    });
  });

  await t.test('a Gateway and an HTTPRoute of the Gateway API lead to the service', async () => {
    const statuses = ['/api', '/api/x', '/apix', '/'].map(async (at) => (await routed(at)).status);
    assert.deepEqual(await Promise.all(statuses), [200, 200, 404, 404]);
  });

  await t.test('a policy attached to a gateway counts there alone', async () => {
    const reference = '{ group: gateway.networking.k8s.io, kind: Gateway, name: outside }';
    const attached = `{ targetRefs: [${reference}], action: DENY, rules: [{}] }`;
    await withPolicy('edge', attached, async () => {
      await becomes(() => routed('/api'), 403);
      await becomes(outside, 403);
      assert.equal((await inside('app')).status, 200);
    });
    // In another namespace it means a gateway that is not there. The marker shows when it is known.
    await mesh.apply(policy('greet', attached));
    await withPolicy(
      'edge',
      '{ action: DENY, rules: [{ to: [{ operation: { paths: [/x] } }] }] }',
      async () => {
        await becomes(() => outside(HELLO, {}, '/x'), 403);
        assert.equal((await outside()).status, 200);
        assert.equal((await inside('app')).status, 200);
      },
    );
  });

  await t.test(
    'TLS is ended with a Secret of its namespace, for callers with a certificate',
    async () => {
      const authority = testAuthority();
      const { certificate: cert, privateKey: key } = authority.issue({ dnsNames: [HELLO] });
      const call = (certificates: object) =>
        ask(
          {
            port: https,
            headers: { host: HELLO },
            servername: HELLO,
            ca: authority.root,
            ...certificates,
          } as RequestOptions,
          httpsRequest as typeof httpRequest,
        );
      const caller = authority.issue({ dnsNames: ['caller'] });
      const proved = { cert: caller.certificate, key: caller.privateKey };
      const values = { cert, key, cacert: authority.root };
      await assert.rejects(call(proved));
      await mesh.apply(JSON.stringify(secretObject('edge', 'hello', values)));
      const front = '/apis/networking.istio.io/v1/namespaces/edge/gateways/front';
      const told = async () =>
        JSON.stringify(await mesh.api.expect({ method: 'GET', path: front }));
      const lacksRight = async () => (await told()).includes('gate may not read Secret hello');
      await waitUntil(lacksRight, 'the status tells of the right that its account lacks');
      await assert.rejects(call(proved));
      await mesh.apply(secretReaderYaml('edge', 'gate'));
      await becomes(() => call(proved), 200);
      await assert.rejects(call({}));
      await mesh.api.expect({ method: 'DELETE', path: `${BINDINGS}/secrets-of-gate` });
      await waitUntil(async () => !(await call(proved).catch(() => false)), 'it is closed again');
    },
  );
});
