// Every example of the documents about authorization by roles: applied with kubectl as it is
// printed, and real Envoys do what the text beside it says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kubectl } from '../kit/kubectl.ts';
import {
  A,
  type Asked,
  CALLERS,
  INGRESS,
  SERVERS,
  type Server,
  startRoleMesh,
  users,
} from '../kit/role-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const RBAC_CONFIG = `
apiVersion: “rbac.istio.io/v1alpha1”
kind: RbacConfig
metadata:
  name: default
  namespace: istio-system
spec:
  mode: ON_WITH_INCLUSION
  inclusion:
    namespaces: [“default”]
`;
const SERVICE_ADMIN = `
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRole
metadata:
  name: service-admin
  namespace: default
spec:
  rules:
  - services: ["*"]
    methods: ["*"]
`;
const PRODUCTS_VIEWER = `
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRole
metadata:
  name: products-viewer
  namespace: default
spec:
  rules:
  - services: ["products.default.svc.cluster.local"]
    methods: ["GET", "HEAD"]
`;
const TESTER = `
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRole
metadata:
  name: tester
  namespace: default
spec:
  rules:
  - services: ["test-*"]
    methods: ["*"]
  - services: ["bookstore.default.svc.cluster.local"]
    paths: ["*/reviews"]
    methods: ["GET"]
`;
const PRODUCTS_VIEWER_VERSION = `
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRole
metadata:
  name: products-viewer-version
  namespace: default
spec:
  rules:
  - services: ["products.default.svc.cluster.local"]
    methods: ["GET", "HEAD"]
    constraints:
    - key: request.headers[version]
      values: ["v1", "v2"]
`;
const TEST_BINDING_PRODUCTS = `
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRoleBinding
metadata:
  name: test-binding-products
  namespace: default
spec:
  subjects:
  - user: "service-account-a"
  - user: "istio-ingress-service-account"
    properties:
    - request.auth.claims[email]: "a@foo.com"
  roleRef:
    kind: ServiceRole
    name: "products-viewer"
`;
const BINDING_PRODUCTS_ALLUSERS = `
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRoleBinding
metadata:
  name: binding-products-allusers
  namespace: default
spec:
  subjects:
  - user: "*"
  roleRef:
    kind: ServiceRole
    name: "products-viewer"
`;

/** Binds a role that the documents print without a binding. */
const bind = (role: string, account: string) => `
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRoleBinding
metadata: { name: bind-${role}, namespace: default }
spec:
  subjects: [{ user: "cluster.local/ns/default/sa/${account}" }]
  roleRef: { kind: ServiceRole, name: ${role} }
`;

test('the examples of the documents about authorization', { timeout: 240_000 }, async (t) => {
  const { mesh, ask, askWithoutIdentity } = await startRoleMesh(t);
  const kubectl = new Kubectl({ kubeconfig: mesh.kubeconfig, directory: temporaryDirectory(t) });
  const apply = async (...texts: readonly string[]): Promise<string> => {
    const { code, stderr } = await kubectl.run(['apply', '-f', '-'], texts.join('---\n'));
    assert.equal(code, 0, stderr);
    return stderr;
  };
  const remove = (...texts: readonly string[]) =>
    kubectl.output(['delete', '-f', '-'], texts.join('---\n'));
  const becomes = (status: number, asked: Asked) =>
    waitUntil(async () => (await ask(asked)) === status, `${status} for ${JSON.stringify(asked)}`);
  const is = async (status: number, asked: Asked) =>
    assert.equal(await ask(asked), status, JSON.stringify(asked));

  await t.test('RbacConfig: authorization is enabled for the "default" namespace', async () => {
    for (const { name } of SERVERS) await becomes(200, { to: name });
    const printed = await kubectl.run(['apply', '-f', '-'], RBAC_CONFIG);
    assert.equal(printed.code, 1, 'its quotes are typographic, which no API takes');
    assert.equal(await apply(RBAC_CONFIG.replace(/[“”]/g, '"')), '');
    for (const name of ['products', 'bookstore', 'test-api'] as const)
      await becomes(403, { to: name });
    await is(200, { to: 'elsewhere' });
    const second = RBAC_CONFIG.replace(/[“”]/g, '"').replace('name: default', 'name: second');
    const { stderr } = await kubectl.run(['apply', '-f', '-'], second);
    assert.match(stderr, /metadata\.name: .*must be "default"/);
  });

  await t.test('service-admin: full access to all services of the namespace', async () => {
    assert.equal(await apply(SERVICE_ADMIN, bind('service-admin', 'somebody')), '');
    for (const to of ['products', 'bookstore', 'test-api'] as const)
      await becomes(200, { to, method: 'DELETE', path: '/any/path' });
    await is(403, { from: A, to: 'products' });
    await remove(SERVICE_ADMIN, bind('service-admin', 'somebody'));
    await becomes(403, { to: 'products' });
  });

  await t.test('products-viewer: GET and HEAD at products, for the two subjects', async () => {
    const said = await apply(PRODUCTS_VIEWER, TEST_BINDING_PRODUCTS);
    assert.match(said, /Warning: spec\.subjects\[1\]\.properties/);
    await becomes(200, { from: A, to: 'products' });
    await is(200, { from: A, to: 'products', method: 'HEAD' });
    await is(403, { from: A, to: 'products', method: 'POST' });
    await is(403, { from: A, to: 'bookstore' });
    await is(403, { from: 'somebody', to: 'products' });
    const bearer = (email: string) => ({
      authorization: `Bearer ${users.token({ claims: { email } })}`,
    });
    await is(403, { from: INGRESS, to: 'products' });
    await is(200, { from: INGRESS, to: 'products', headers: bearer('a@foo.com') });
    await is(403, { from: INGRESS, to: 'products', headers: bearer('b@foo.com') });
    await is(403, { from: 'somebody', to: 'products', headers: bearer('a@foo.com') });
    await remove(TEST_BINDING_PRODUCTS);
    await becomes(403, { from: A, to: 'products' });
  });

  await t.test('binding-products-allusers: all users and services', async () => {
    assert.equal(await apply(BINDING_PRODUCTS_ALLUSERS), '');
    for (const from of CALLERS) await becomes(200, { from, to: 'products' });
    assert.equal(await askWithoutIdentity('products'), 200);
    assert.equal(await askWithoutIdentity('bookstore'), 403);
    await is(403, { to: 'products', method: 'POST' });
    await remove(BINDING_PRODUCTS_ALLUSERS);
    await becomes(403, { to: 'products' });
  });

  await t.test('tester: test-* in full, and GET of paths that end with /reviews', async () => {
    assert.equal(await apply(TESTER, bind('tester', A)), '');
    await becomes(200, { from: A, to: 'test-api', method: 'PUT', path: '/any' });
    // Another proxy, which may hear of it a moment later.
    for (const path of ['/books/reviews', '/events/booksale/reviews', '/reviews'])
      await becomes(200, { from: A, to: 'bookstore', path });
    await is(403, { from: A, to: 'bookstore', path: '/books' });
    await is(403, { from: A, to: 'bookstore', path: '/reviews', method: 'POST' });
    await is(403, { from: A, to: 'products' });
    await is(403, { from: 'somebody', to: 'test-api' });
    await remove(TESTER, bind('tester', A));
    await becomes(403, { from: A, to: 'test-api' });
  });

  await t.test('products-viewer-version: the header "version" is v1 or v2', async () => {
    assert.equal(await apply(PRODUCTS_VIEWER_VERSION, bind('products-viewer-version', A)), '');
    const asked = (version: string) => ({ from: A, to: 'products', headers: { version } }) as const;
    await becomes(200, asked('v1'));
    await is(200, asked('v2'));
    await is(403, asked('v3'));
    await is(403, { from: A, to: 'products' });
    await is(403, { ...asked('v1'), method: 'PUT' });
  });

  await t.test('a gRPC method is its path, with POST; roles count in their namespace', async () => {
    const method = PRODUCTS_VIEWER.replace('methods: ["GET", "HEAD"]', 'methods: ["POST"]').replace(
      '    methods',
      '    paths: ["shop.Catalog/List"]\n    methods',
    );
    assert.equal(await apply(method, bind('products-viewer', A)), '');
    const asked = { from: A, to: 'products', method: 'POST' } as const;
    await becomes(200, { ...asked, path: '/shop.Catalog/List' });
    await is(403, { ...asked, path: '/shop.Catalog/list' });
    await is(403, { ...asked, path: '/shop.Catalog/Delete' });
    const elsewhere = SERVICE_ADMIN.replace('namespace: default', 'namespace: ns1');
    await apply(elsewhere, bind('service-admin', 'somebody'));
    const path = '{.status.conditions[?(@.type=="Findings")].message}';
    const binding = ['servicerolebindings', 'bind-service-admin', '-o', `jsonpath=${path}`];
    assert.equal(await ask({ to: 'products' }), 403, await kubectl.output(['get', ...binding]));
    await remove(method, bind('products-viewer', A), elsewhere, bind('service-admin', 'somebody'));
  });

  await t.test('the modes of ClusterRbacConfig, which counts before RbacConfig', async () => {
    const modes: Readonly<Record<string, Readonly<Partial<Record<Server, number>>>>> = {
      'mode: "OFF"': { products: 200, bookstore: 200, elsewhere: 200 },
      'mode: "ON"': { products: 403, bookstore: 403, elsewhere: 403 },
      'mode: ON_WITH_EXCLUSION, exclusion: { namespaces: [ns1] }': {
        products: 403,
        elsewhere: 200,
      },
      'mode: ON_WITH_INCLUSION, inclusion: { services: [products.default.svc.cluster.local] }': {
        products: 403,
        bookstore: 200,
        elsewhere: 200,
      },
    };
    for (const [mode, wanted] of Object.entries(modes)) {
      const config = 'apiVersion: rbac.istio.io/v1alpha1\nkind: ClusterRbacConfig\n';
      await apply(`${config}metadata: { name: default }\nspec: { ${mode} }\n`);
      for (const [to, status] of Object.entries(wanted))
        await becomes(status, { to: to as Server });
    }
  });
});
