// The commands and objects of the page about gateways do what the page says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type TestContext, test } from 'node:test';
import { bulwark } from '../kit/bulwark.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { freePort } from '../kit/free-port.ts';
import { secretObject } from '../kit/https-app.ts';
import { Kubectl } from '../kit/kubectl.ts';
import { applicationYaml, groupYaml, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const PAGE = new URL('../../docs/guide/gateways.md', import.meta.url);
const HOST = 'shop.example.com';
const READY_MS_MAX = 60_000;

/** What the page takes for granted: the shop, and a Gateway of the Gateway API. */
const objects = (port: number): string =>
  yamlOf(
    applicationYaml('shop', 'frontend'),
    groupYaml('edge', 'front', ', gateway.networking.k8s.io/gateway-name: front'),
    `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec: { gatewayClassName: bulwark, listeners: [{ name: web, port: ${port}, protocol: HTTP }] }
`,
  );

async function startShop(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(objects(await freePort()));
  const app = { ports: [{ name: 'http', port: await startEchoApp(t, 'frontend') }] };
  const who = { namespace: 'shop', serviceAccount: 'frontend', group: 'frontend' };
  await mesh.runAgent('shop', { workloads: [{ ...who, name: 'frontend-1', app }] });
  return mesh;
}

test('the page about gateways', { timeout: 240_000 }, async (t) => {
  const text = readFileSync(PAGE, 'utf8');
  const blocks = (language: string): readonly string[] =>
    [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].flatMap(([, word, code = '']) =>
      word === language ? [code] : [],
    );
  const [serve = '', can = '', wait = ''] = blocks('sh').map((line) => line.trim());
  const [, gateway = '', right = '', policy = ''] = blocks('yaml');
  const mesh = await startShop(t);
  const [secured, plain] = [await freePort(), await freePort()];
  const args = serve.replace('10.0.0.5', '127.0.0.1').split(' ').slice(1);
  const running = bulwark([...args, '--kubeconfig', mesh.kubeconfig]);
  t.after(() => running.stop());
  await running.waitForLine((line) => line === 'ready' || undefined, READY_MS_MAX);

  const authority = testAuthority();
  const { certificate: cert, privateKey: key } = authority.issue({ dnsNames: [HOST] });
  const ask = (make: typeof httpRequest, port: number, path = '/') =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const tls = { servername: HOST, ca: authority.root };
      const where = { host: '127.0.0.1', port, path, headers: { host: HOST }, agent: false };
      const sent = make({ ...where, ...tls }, (answer) => resolve(answer.resume()));
      sent.on('error', reject).end();
    });
  const asked = (path: string) => ask(httpsRequest as typeof httpRequest, secured, path);
  const becomes = (path: string, status: number) =>
    waitUntil(
      async () => (await asked(path).catch(() => undefined))?.statusCode === status,
      `${path} is answered ${status}`,
    );

  await t.test('a shop is served by its certificate, and plaintext is sent there', async () => {
    const numbered = gateway.replace('number: 443', `number: ${secured}`);
    await mesh.apply(numbered.replace('number: 80, name', `number: ${plain}, name`));
    await mesh.apply(right);
    const secrets = '/api/v1/namespaces/edge/secrets';
    const body = secretObject('edge', 'shop-cert', { cert, key });
    await mesh.api.expect({ method: 'POST', path: secrets, body });
    await becomes('/admin', 200);
    const { statusCode, headers } = await ask(httpRequest, plain);
    assert.equal(statusCode, 301);
    assert.match(headers.location ?? '', /^https:\/\/shop\.example\.com/);
  });

  await t.test('a policy that is attached to the gateway holds there', async () => {
    await mesh.apply(policy);
    await becomes('/admin', 403);
    assert.equal((await asked('/')).statusCode, 200);
  });

  await t.test(
    'the commands say that it stands, and that calls through it are let in',
    async () => {
      assert.match(await mesh.command(...can.split(' ').slice(1)), /^allow/m);
      const { directory, kubeconfig } = mesh;
      const kubectl = new Kubectl({ directory, kubeconfig });
      const waited = await kubectl.output([...wait.split(' ').slice(1), '--timeout=20s']);
      assert.match(waited, /condition met/);
    },
  );
});
