// The ConfigMap `istio` changes settings of a mesh that runs: a server, an agent, a real Envoy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHttpAuthorizer } from '../kit/authorizer-service.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, policyYaml, yamlOf } from '../kit/mesh-objects.ts';
import { objectsOf } from '../kit/objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = yamlOf(
  accountsYaml('shop', 'web'),
  policyYaml(
    'shop',
    'no-admin',
    '{ action: DENY, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }',
  ),
);

/** A policy that asks a provider about `/asked`. */
const custom = (provider: string): string => {
  const rules = '[{ to: [{ operation: { paths: [/asked] } }] }]';
  return policyYaml(
    'shop',
    'asked',
    `{ action: CUSTOM, provider: { name: ${provider} }, rules: ${rules} }`,
  );
};

/** A service outside of the mesh, at a port of this machine. */
const outside = (name: string, port: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.tools]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 9000, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
`;

const CONFIG = '/api/v1/namespaces/istio-system/configmaps/istio';
const meshConfig = (text: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: '${text}' }
`;

test('the ConfigMap istio changes the mesh while it runs', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const ports = [{ name: 'http', port: await startEchoApp(t, 'web') }];
  const workload = { namespace: 'shop', serviceAccount: 'web', name: 'web', mode: 'explicit' };
  const status = await mesh.startAgent('web', { workloads: [{ ...workload, app: { ports } }] });
  const port = (await status('web')).ports.inbound[0]?.listen ?? 0;
  const asked = async (target: string): Promise<number> => {
    const client = new KeepAliveClient({ port });
    const { status: code } = await client.ask({ target });
    client.close();
    return code;
  };
  const until = (code: number, target: string) =>
    waitUntil(async () => (await asked(target)) === code, `${code} for ${target}`);

  await t.test('as started, a path is what the application reads', async () => {
    await until(403, '/admin');
    assert.equal(await asked('/x/..%2fadmin'), 403);
    assert.equal(await asked('/public'), 200);
  });

  await t.test('a change reaches proxies, and paths are judged as it says', async () => {
    await mesh.apply(meshConfig('pathNormalization: {normalization: BASE}'));
    await until(200, '/x/..%2fadmin');
    assert.equal(await asked('/x/../admin'), 403);
    assert.equal(await asked('/admin'), 403);
  });

  await t.test('what cannot be read is refused, and changes nothing', async () => {
    const [object] = objectsOf(meshConfig('pathNormalization: {normalization: SOME}'));
    const { status: code } = await mesh.api.send({ method: 'PUT', path: CONFIG, body: object });
    assert.equal(code, 422);
    assert.equal(await asked('/x/..%2fadmin'), 200);
  });

  await t.test('its providers are asked; a policy that names another is refused', async () => {
    const authorizer = await startHttpAuthorizer(t);
    authorizer.verdict = () => ({ status: 418 });
    const name = 'opa';
    await mesh.apply(outside('authz', authorizer.port));
    const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
    const create = () => mesh.api.send({ method: 'POST', path, body: objectsOf(custom(name))[0] });
    const refused = await create();
    assert.equal(refused.status, 422);
    assert.match(JSON.stringify(refused.body), /spec.provider.name.*no extension provider/);
    await mesh.apply(
      meshConfig(
        `extensionProviders: [{name: ${name}, envoyExtAuthzHttp: {service: authz.tools, port: 9000}}]`,
      ),
    );
    await waitUntil(async () => (await create()).status === 201, 'the policy is taken');
    await until(418, '/asked');
    assert.equal(await asked('/public'), 200);
  });

  await t.test('without it the mesh is as it was started', async () => {
    await mesh.api.expect({ method: 'DELETE', path: CONFIG });
    await until(403, '/x/..%2fadmin');
  });
});
