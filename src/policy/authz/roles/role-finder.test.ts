// ClusterRbacConfig, ServiceRole and ServiceRoleBinding, decided: every rule both ways.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AuthzDecision, evaluate } from '#policy/authz/evaluate.ts';
import type { HttpFacts } from '#policy/authz/request.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { authorizedWorkload, authzContext } from '../../../../test/kit/authorization-policy.ts';
import { testMesh } from '../../../../test/kit/mesh.ts';
import { objectsOf } from '../../../../test/kit/objects.ts';

const rbac = (kind: string, name: string, spec: object, namespace = 'default') => ({
  apiVersion: 'rbac.istio.io/v1alpha1',
  kind,
  metadata: { name, ...(kind === 'ClusterRbacConfig' ? {} : { namespace }) },
  spec,
});
const ON = rbac('ClusterRbacConfig', 'default', { mode: 'ON' });
const role = (...rules: readonly object[]) => rbac('ServiceRole', 'viewer', { rules });
const roleRef = { kind: 'ServiceRole', name: 'viewer' };
const binding = (...subjects: readonly object[]) =>
  rbac('ServiceRoleBinding', 'bind', { subjects, roleRef });
const EVERYBODY = { user: '*' };
const SERVICES = objectsOf(`
apiVersion: v1
kind: Service
metadata: {name: products, namespace: default}
spec: {selector: {app: products}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: products-admin, namespace: default}
spec: {selector: {app: products}, ports: [{name: http, port: 80, targetPort: 9090}]}
`);

interface Asked extends Partial<HttpFacts> {
  /** `<namespace>/<service account>`. */
  readonly caller?: string;
  readonly port?: number;
  readonly tcp?: true;
}

function authorize(objects: readonly object[]): WorkloadAuthorization {
  const mesh = testMesh([...SERVICES, ...(objects as typeof SERVICES)]).model.snapshot();
  const labels = { app: 'products', version: 'v1' };
  const workload = authorizedWorkload({ namespace: 'default', labels });
  return new Authorizer(authzContext('strict')).authorizationFor(workload, mesh);
}

function decide(asked: Asked, objects: readonly object[]): AuthzDecision {
  const { caller, port = 8080, tcp, ...http } = asked;
  const [namespace, account] = caller?.split('/') ?? [];
  const identity = `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
  const facts = { method: 'GET', target: '/', host: 'products', ...http };
  return evaluate(
    authorize(objects),
    {
      source: { address: '10.1.2.3', ...(caller && { identity: parseSpiffeId(identity) }) },
      destination: { port },
      ...(tcp ? {} : { http: facts }),
    },
    'strict',
  );
}

const allows = (asked: Asked, ...objects: readonly object[]) =>
  assert.equal(decide(asked, objects).decision, 'allow', JSON.stringify(asked));
const denies = (asked: Asked, ...objects: readonly object[]) =>
  assert.equal(decide(asked, objects).decision, 'deny', JSON.stringify(asked));

describe('the configuration', () => {
  const config = (spec: object) => rbac('ClusterRbacConfig', 'default', spec);

  it('is off without an object, and says so itself', () => {
    allows({});
    allows({}, config({ mode: 'OFF' }));
    allows({}, config({}));
    denies({}, ON);
  });

  it('includes namespaces and services', () => {
    const inclusion = (places: object) => config({ mode: 'ON_WITH_INCLUSION', inclusion: places });
    denies({}, inclusion({ namespaces: ['default'] }));
    allows({}, inclusion({ namespaces: ['other'] }));
    denies({}, inclusion({ services: ['products.default.svc.cluster.local'] }));
    allows({ port: 9090 }, inclusion({ services: ['products.default.svc.cluster.local'] }));
    allows({}, inclusion({}));
  });

  it('excludes namespaces and services', () => {
    const exclusion = (places: object) => config({ mode: 'ON_WITH_EXCLUSION', exclusion: places });
    allows({}, exclusion({ namespaces: ['default'] }));
    denies({}, exclusion({ namespaces: ['other'] }));
    allows({}, exclusion({ services: ['products.default.svc.cluster.local'] }));
    denies({ port: 9090 }, exclusion({ services: ['products.default.svc.cluster.local'] }));
  });

  it('is that of the mesh where both kinds exist', () => {
    const old = rbac('RbacConfig', 'default', { mode: 'ON' }, 'istio-system');
    denies({}, old);
    allows({}, old, config({ mode: 'OFF' }));
  });

  it('refuses nobody when it is permissive', () => {
    allows({}, config({ mode: 'ON', enforcementMode: 'PERMISSIVE' }));
  });

  it('counts for nothing where an AuthorizationPolicy selects the workload', () => {
    const apiVersion = 'security.istio.io/v1';
    const metadata = { name: 'new', namespace: 'default' };
    const spec = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };
    const policy = { apiVersion, kind: 'AuthorizationPolicy', metadata, spec };
    allows({}, ON, policy);
    denies({ method: 'PUT' }, ON, policy, role({ services: ['*'] }), binding(EVERYBODY));
  });
});

describe('a role', () => {
  const grants = (rule: object) => [ON, role(rule), binding(EVERYBODY)];

  it('speaks of services by short and full name, prefix, suffix and all', () => {
    const full = 'products.default.svc.cluster.local';
    for (const name of ['*', 'products', full, 'prod*', '*.svc.cluster.local', '*ucts'])
      allows({}, ...grants({ services: [name] }));
    for (const name of ['reviews', 'products.other.svc.cluster.local', 'test-*', 'product'])
      denies({}, ...grants({ services: [name] }));
  });

  it('of one service does not open the ports of another', () => {
    allows({ port: 8080 }, ...grants({ services: ['products'] }));
    denies({ port: 9090 }, ...grants({ services: ['products'] }));
    allows({ port: 9090 }, ...grants({ services: ['products-admin'] }));
  });

  it('speaks of services of its own namespace only', () => {
    const services = ['products.default.svc.cluster.local'];
    const other = [
      rbac('ServiceRole', 'viewer', { rules: [{ services }] }, 'other'),
      rbac('ServiceRoleBinding', 'bind', { subjects: [EVERYBODY], roleRef }, 'other'),
    ];
    denies({}, ON, ...other);
  });

  it('names methods and paths', () => {
    const services = ['*'];
    const viewer = grants({ services, methods: ['GET', 'HEAD'], paths: ['*/reviews', '/books/*'] });
    allows({ target: '/a/reviews' }, ...viewer);
    allows({ target: '/books/1?x=y', method: 'HEAD' }, ...viewer);
    denies({ target: '/a/reviews', method: 'POST' }, ...viewer);
    denies({ target: '/a/reviews/x' }, ...viewer);
    allows({ method: 'ANY', target: '/x' }, ...grants({ services, methods: ['*'], paths: ['*'] }));
    denies({ target: '/secret' }, ...grants({ services, notPaths: ['/secret'] }));
    allows({ target: '/open' }, ...grants({ services, notPaths: ['/secret'] }));
  });

  it('names gRPC methods with or without slash', () => {
    for (const path of ['shop.Cart/Add', '/shop.Cart/Add', 'shop.Cart/*']) {
      const rule = grants({ services: ['*'], methods: ['POST'], paths: [path] });
      allows({ method: 'POST', target: '/shop.Cart/Add' }, ...rule);
      denies({ method: 'POST', target: '/shop.Other/Add' }, ...rule);
      denies({ method: 'POST', target: '/shop.cart/Add' }, ...rule);
    }
  });

  it('has constraints on the request and on the workload', () => {
    const constraint = (key: string, ...values: string[]) =>
      grants({ services: ['*'], constraints: [{ key, values }] });
    const version = { headers: { version: 'v2' } };
    allows(version, ...constraint('request.headers[version]', 'v1', 'v2'));
    denies({ headers: { version: 'v3' } }, ...constraint('request.headers[version]', 'v1', 'v2'));
    allows({}, ...constraint('destination.labels[version]', 'v*'));
    denies({}, ...constraint('destination.labels[version]', 'v2'));
    denies({}, ...constraint('destination.labels[none]', '*'));
    allows({}, ...constraint('destination.namespace', 'default'));
    denies({}, ...constraint('destination.namespace', 'other'));
    allows({}, ...constraint('destination.user', 'app'));
    denies({}, ...constraint('destination.user', 'other'));
    allows({}, ...constraint('destination.port', '8080'));
    denies({}, ...constraint('destination.port', '9090'));
    denies({}, ...constraint('unknown.key', '*'));
  });

  it('with a constraint on the caller keeps it to its own rule', () => {
    const rules = [
      {
        services: ['*'],
        paths: ['/a'],
        constraints: [{ key: 'request.headers[x]', values: ['1'] }],
      },
      { services: ['*'], paths: ['/b'] },
    ];
    const objects = [ON, role(...rules), binding(EVERYBODY)];
    allows({ target: '/b' }, ...objects);
    denies({ target: '/a' }, ...objects);
    allows({ target: '/a', headers: { x: '1' } }, ...objects);
  });

  it('that asks for HTTP allows nothing on TCP', () => {
    denies({ tcp: true }, ...grants({ services: ['*'], methods: ['*'] }));
    allows({ tcp: true }, ...grants({ services: ['*'] }));
  });
});

describe('a binding', () => {
  const gives = (...subjects: readonly object[]) => [
    ON,
    role({ services: ['*'] }),
    binding(...subjects),
  ];
  const CALLER = 'cluster.local/ns/shop/sa/web';

  it('gives to a user by principal, or by the bare name of an account of its namespace', () => {
    allows({ caller: 'shop/web' }, ...gives({ user: CALLER }));
    denies({ caller: 'shop/other' }, ...gives({ user: CALLER }));
    denies({}, ...gives({ user: CALLER }));
    allows({ caller: 'default/web' }, ...gives({ user: 'web' }));
    denies({ caller: 'shop/web' }, ...gives({ user: 'web' }));
    allows({}, ...gives(EVERYBODY));
  });

  it('gives by every field of a subject, all of which must hold', () => {
    allows({ caller: 'shop/web' }, ...gives({ names: ['x', CALLER] }));
    denies({ caller: 'shop/web' }, ...gives({ notNames: [CALLER] }));
    allows({ caller: 'shop/web' }, ...gives({ namespaces: ['shop'] }));
    denies({ caller: 'shop/web' }, ...gives({ notNamespaces: ['shop'] }));
    allows({}, ...gives({ ips: ['10.0.0.0/8'] }));
    denies({}, ...gives({ notIps: ['10.0.0.0/8'] }));
    denies({ caller: 'shop/web' }, ...gives({ user: CALLER, ips: ['1.2.3.4'] }));
    const claims = { groups: ['a', 'b'] };
    allows({ claims }, ...gives({ group: 'a' }));
    allows({ claims }, ...gives({ groups: ['x', 'b'] }));
    denies({ claims }, ...gives({ groups: ['x'] }));
    denies({ claims }, ...gives({ notGroups: ['b'] }));
  });

  it('gives by properties, as a map or as the list of the documents', () => {
    const email = { 'request.auth.claims[email]': 'a@foo.com' };
    for (const properties of [email, [email]]) {
      const objects = gives({ user: CALLER, properties });
      allows({ caller: 'shop/web', claims: { email: 'a@foo.com' } }, ...objects);
      denies({ caller: 'shop/web', claims: { email: 'b@foo.com' } }, ...objects);
      denies({ claims: { email: 'a@foo.com' } }, ...objects);
    }
    allows({ caller: 'shop/web' }, ...gives({ properties: { 'source.namespace': 'shop' } }));
    denies({ caller: 'shop/web' }, ...gives({ properties: { 'source.color': 'red' } }));
  });

  it('gives to nobody when it is permissive or says nobody', () => {
    const spec = { subjects: [EVERYBODY], roleRef, mode: 'PERMISSIVE' };
    denies({}, ON, role({ services: ['*'] }), rbac('ServiceRoleBinding', 'bind', spec));
    denies({}, ...gives({}));
  });

  it('may have its rules in itself, or take a role of the root namespace', () => {
    const bound = (spec: object) =>
      rbac('ServiceRoleBinding', 'b', { subjects: [EVERYBODY], ...spec });
    const actions = [{ services: ['products'], methods: ['GET'] }];
    allows({}, ON, bound({ actions }));
    denies({ method: 'PUT' }, ON, bound({ actions }));
    const rules = [{ services: ['products'] }];
    const common = rbac('ServiceRole', 'common', { rules }, 'istio-system');
    allows({}, ON, common, bound({ role: '/common' }));
    denies({}, ON, common, bound({ role: 'common' }));
  });

  it('to a role that is not there gives nothing, and says what it may have meant', () => {
    const wrong = { kind: 'ServiceRole', name: 'viewr' };
    const bound = rbac('ServiceRoleBinding', 'bind', { subjects: [EVERYBODY], roleRef: wrong });
    denies({}, ON, role({ services: ['*'] }), bound);
    const [, policy] = authorize([ON, role({ services: ['*'] }), bound]).policies;
    const [found] = policy?.diagnostics ?? [];
    assert.match(found?.message ?? '', /no ServiceRole default\/viewr/);
    assert.equal(found?.remedy, 'did you mean "viewer"?');
    const right = authorize([ON, role({ services: ['*'] }), binding(EVERYBODY)]);
    assert.deepEqual(right.policies[1]?.diagnostics, []);
  });
});

it('names the binding and the rule that let a request in', () => {
  const objects = [ON, role({ services: ['*'] }), binding(EVERYBODY)];
  const decision = decide({}, objects);
  assert.ok(decision.because === 'an ALLOW rule matches');
  assert.equal(decision.rule.name, 'ns[default]-binding[bind]-rule[0]');
});
