import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuthorizationPolicySpec } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import { type ExtensionProvider, extensionProviders } from '#model/extension-provider.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import {
  authorizationPolicy,
  authorizedWorkload,
  authzContext,
} from '../../../test/kit/authorization-policy.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const HTTP = { service: 'web.tools', port: 9000 };
const PROVIDERS = extensionProviders([
  { name: 'a', envoyExtAuthzHttp: HTTP },
  { name: 'b', envoyExtAuthzGrpc: { service: 'foo/rpc.foo', port: 9001 } },
  { name: 'c', envoyExtAuthzHttp: HTTP },
  {
    name: 'open',
    envoyExtAuthzHttp: {
      ...HTTP,
      failOpen: true,
      includeRequestHeadersInCheck: ['x-user'],
      headersToUpstreamOnAllow: ['X-User', 'x-group'],
    },
  },
  { name: 'no-service', envoyExtAuthzHttp: { ...HTTP, service: 'other.tools' } },
  { name: 'no-namespace', envoyExtAuthzHttp: { ...HTTP, service: 'foo/web.tools' } },
  { name: 'no-port', envoyExtAuthzHttp: { ...HTTP, port: 1 } },
  { name: 'no-grpc', envoyExtAuthzGrpc: HTTP },
  { name: 'tracing' },
]);

const service = (namespace: string, host: string, port: number, protocol: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host}, namespace: ${namespace} }
spec:
  hosts: [${host}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: ${port}, name: p, protocol: ${protocol} }]
  endpoints: [{ address: 10.1.1.1 }]
`;

const SERVICES = [
  service('tools', 'web.tools', 9000, 'HTTP'),
  service('foo', 'rpc.foo', 9001, 'GRPC'),
].flatMap(objectsOf);

const RULES = [{ to: [{ operation: { paths: ['/admin'] } }] }];

function asking(name: string, provider: string): ApiObject {
  const spec: AuthorizationPolicySpec = { action: 'CUSTOM', provider: { name: provider } };
  return authorizationPolicy({ ...spec, rules: RULES }, { name });
}

interface World {
  readonly profile?: HardeningProfile;
  readonly providers?: readonly ExtensionProvider[];
}

function worldOf(objects: readonly ApiObject[], { profile = 'strict', providers }: World = {}) {
  const mesh = testMesh([...SERVICES, ...objects], { hardening: profile }).model.snapshot();
  const context = { ...authzContext(profile), extensionProviders: providers ?? PROVIDERS };
  return { mesh, authorizer: new Authorizer(context) };
}

/** `a,b`: who is asked about requests, then about connections; then who is denied by rule. */
function outcome(objects: readonly ApiObject[], world: World = {}) {
  const { mesh, authorizer } = worldOf(objects, world);
  const { http, tcp } = authorizer.authorizationFor(authorizedWorkload(), mesh);
  const names = (checks: typeof http.custom) => checks.map(({ provider }) => provider.name);
  return {
    http: names(http.custom),
    tcp: names(tcp.custom),
    denied: (http.deny.enforced ?? []).map(({ name }) => name),
    deniedTcp: (tcp.deny.enforced ?? []).length,
  };
}

const RULE = 'ns[foo]-policy[p]-rule[0]';
const DENY_ALL = 'default-deny-all-due-to-bad-CUSTOM-action';

describe('a provider that a policy names', () => {
  it('is asked about what the rules match', () => {
    const { mesh, authorizer } = worldOf([asking('p', 'a'), asking('q', 'a')]);
    const { http } = authorizer.authorizationFor(authorizedWorkload(), mesh);
    assert.deepEqual(
      http.custom.map(({ rules }) => rules.map(({ name }) => name)),
      [[RULE, 'ns[foo]-policy[q]-rule[0]']],
    );
    assert.equal(http.deny.enforced, undefined);
  });

  it('is the same answer for all who ask, and forgotten when there are too many others', () => {
    const { mesh, authorizer } = worldOf([], { profile: 'istio' });
    const stateOf = (name: string) => authorizer.providerState(name, 'foo', mesh);
    const first = stateOf('none-0');
    assert.equal(stateOf('none-0'), first);
    for (let count = 1; count <= 1000; count += 1) stateOf(`none-${count}`);
    assert.notEqual(stateOf('none-0'), first);
    assert.deepEqual(stateOf('none-0'), first);
  });

  it('over HTTP knows nothing of connections, over gRPC does', () => {
    const nothing = { denied: [], deniedTcp: 0 };
    assert.deepEqual(outcome([asking('p', 'a')]), { http: ['a'], tcp: [], ...nothing });
    assert.deepEqual(outcome([asking('p', 'b')]), { http: ['b'], tcp: ['b'], ...nothing });
  });

  it('and cannot be asked denies what the rules match; with Istio everything', () => {
    for (const name of ['?', 'no-service', 'no-namespace', 'no-port', 'no-grpc', 'tracing']) {
      const objects = [asking('p', name), asking('q', 'a')];
      const strict = { http: ['a'], tcp: [], denied: [RULE], deniedTcp: 1 };
      assert.deepEqual(outcome(objects), strict, name);
      const istio = { http: [], tcp: [], denied: [DENY_ALL], deniedTcp: 1 };
      assert.deepEqual(outcome(objects, { profile: 'istio' }), istio, name);
    }
  });

  it('is asked beside another one; with Istio several deny everything', () => {
    const objects = [asking('p', 'b'), asking('q', 'a')];
    assert.deepEqual(outcome(objects).http, ['a', 'b']);
    assert.deepEqual(outcome(objects, { profile: 'istio' }).denied, [DENY_ALL]);
  });

  it('as one too many denies what the rules match', () => {
    const { http, denied } = outcome([asking('o', 'a'), asking('r', 'b'), asking('p', 'c')]);
    assert.deepEqual([http, denied], [['a', 'b'], [RULE]]);
  });

  it('gives the same authorization as long as it can be asked', () => {
    const mesh = testMesh([...SERVICES, asking('p', 'a')]);
    const { authorizer } = worldOf([]);
    const now = () => authorizer.authorizationFor(authorizedWorkload(), mesh.model.snapshot());
    const before = now();
    mesh.put(...objectsOf(service('foo', 'new.foo', 80, 'HTTP')));
    assert.equal(now(), before, 'another service came');
    mesh.remove(...SERVICES);
    assert.notEqual(now(), before, 'its own service went');
  });
});

describe('the author of a policy', () => {
  const said = (objects: readonly ApiObject[], world: World = {}): string[] => {
    const { mesh, authorizer } = worldOf(objects, world);
    return [...findingsOf(mesh, authorizer).values()].flat().map(({ message }) => message);
  };

  it('is not told of a provider that is asked', () => {
    assert.deepEqual(said([asking('p', 'a')]), []);
  });

  it('is told why it cannot be asked', () => {
    assert.match(said([asking('p', 'traceing')])[0] ?? '', /no extension provider "traceing"/);
    assert.match(said([asking('p', 'no-service')])[0] ?? '', /see no service other.tools/);
    assert.match(said([asking('p', 'no-port')])[0] ?? '', /no port 1: requests that match are/);
    assert.match(said([asking('p', 'no-grpc')])[0] ?? '', /not declared as gRPC/);
    const istio = said([asking('p', 'no-port')], { profile: 'istio' });
    assert.match(istio[0] ?? '', /all requests are denied/);
  });

  it('is told of headers that callers may set when the provider is down', () => {
    assert.match(said([asking('p', 'open')])[0] ?? '', /callers may set X-User themselves/);
    const istio = said([asking('p', 'open')], { profile: 'istio' });
    assert.match(istio[0] ?? '', /callers may set X-User, x-group themselves/);
  });

  it('is told of ports that stay open, and of one provider too many', () => {
    const workload = objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: w, namespace: foo }
spec: { address: 10.0.0.1, serviceAccount: app, labels: { app: w } }
---
apiVersion: v1
kind: Service
metadata: { name: w, namespace: foo }
spec: { selector: { app: w }, ports: [{ name: tcp, port: 90 }] }
`);
    assert.match(said([asking('p', 'a'), ...workload])[0] ?? '', /not HTTP are open to everybody/);
    const [widened, ...more] = said([asking('p', 'b'), ...workload]);
    assert.match(widened ?? '', /on ports that are not HTTP, .* matches without looking/);
    assert.deepEqual(more, []);
    const [web] = workload;
    const three = ['a', 'b', 'c'].map((name) => asking(name, name));
    assert.match(said([...three, ...(web ? [web] : [])])[0] ?? '', /too many providers/);
  });
});
