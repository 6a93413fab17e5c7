import fc from 'fast-check';
import type { ApiObject } from '#api/object.ts';
import { someFields, WORDS } from './authz-arbitrary.ts';

// Random roles and bindings over the words of `authz-arbitrary.ts`, for a workload that two
// services lead to.

const SERVICES = ['*', 'web', 'web.foo.svc.cluster.local', 'admin', 'w*', '*min', 'other'];
const GRPC = ['a/b', 'admin', 'a*'];

const some = (words: readonly string[], maxLength = 3): fc.Arbitrary<string[]> =>
  fc.array(fc.constantFrom(...words), { minLength: 1, maxLength });

const constraint = fc
  .constantFrom<readonly [string, readonly string[]]>(
    ['request.headers[X-Version]', WORDS.texts],
    ['destination.ip', WORDS.blocks],
    ['destination.port', WORDS.ports],
    ['destination.labels[version]', WORDS.texts],
    ['destination.labels[none]', WORDS.texts],
    ['destination.namespace', ['foo', 'bar', 'f*']],
    ['destination.user', ['app', 'x*', '*']],
    ['destination.unknown', WORDS.texts],
  )
  .chain(([key, words]) => some(words).map((values) => ({ key, values })));

/** One of a field and its not-field. */
const either = (name: string, values: fc.Arbitrary<unknown[]>) =>
  fc.tuple(values, fc.boolean()).map(([list, isNot]) => {
    const field = isNot ? `not${name[0]?.toUpperCase()}${name.slice(1)}` : name;
    return { [field]: list };
  });

const rule = fc
  .tuple(
    some(SERVICES),
    fc.array(
      fc.oneof(
        either('methods', some(WORDS.methods)),
        either('paths', some([...WORDS.plainPaths, ...GRPC])),
        either('hosts', some(WORDS.hosts)),
        either('ports', fc.array(fc.constantFrom(80, 8080, 9090), { minLength: 1, maxLength: 2 })),
        fc.array(constraint, { maxLength: 2 }).map((constraints) => ({ constraints })),
      ),
      { maxLength: 2 },
    ),
  )
  .map(([services, fields]) => Object.assign({ services }, ...fields));

const properties = fc
  .constantFrom<readonly [string, readonly string[]]>(
    ['source.principal', WORDS.principals],
    ['source.namespace', WORDS.namespaces],
    ['source.ip', WORDS.blocks],
    ['request.auth.principal', WORDS.requestPrincipals],
    ['request.auth.audiences', WORDS.texts],
    ['request.auth.claims[groups]', WORDS.texts],
    ['request.headers[X-Version]', WORDS.texts],
    ['source.unknown', WORDS.texts],
  )
  .chain(([key, words]) => fc.constantFrom(...words).map((value) => ({ [key]: value })));

const subject = fc.oneof(
  fc.constant({ user: '*' }),
  fc.constantFrom('a', ...WORDS.principals).map((user) => ({ user })),
  properties.map((one) => ({ properties: one })),
  fc.tuple(properties, properties).map((list) => ({ user: '*', properties: list })),
  someFields({
    names: some(WORDS.principals),
    notNames: some(WORDS.principals),
    groups: some(WORDS.texts),
    notGroups: some(WORDS.texts),
    namespaces: some(WORDS.namespaces),
    notNamespaces: some(WORDS.namespaces),
    ips: some(WORDS.blocks),
    notIps: some(WORDS.blocks),
  }),
);

const config = fc.oneof(
  { arbitrary: fc.constant({ mode: 'ON' }), weight: 4 },
  { arbitrary: fc.constant({ mode: 'OFF' }), weight: 1 },
  {
    arbitrary: some(['web', 'admin', 'other'], 2).map((names) => ({
      mode: 'ON_WITH_INCLUSION',
      inclusion: { services: names.map((name) => `${name}.foo.svc.cluster.local`) },
    })),
    weight: 2,
  },
  { arbitrary: fc.constant({ mode: 'ON', enforcementMode: 'PERMISSIVE' }), weight: 1 },
);

function object(kind: string, name: string, spec: object): ApiObject {
  const isCluster = kind === 'ClusterRbacConfig';
  const metadata = { name, ...(isCluster ? {} : { namespace: 'foo' }) };
  return { apiVersion: 'rbac.istio.io/v1alpha1', kind, metadata, spec } as ApiObject;
}

function service(name: string, targetPort: number): ApiObject {
  const ports = [{ name: 'http', port: 80, targetPort }];
  const spec = { selector: { app: 'web' }, ports };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'foo' },
    spec,
  } as ApiObject;
}

/** Labels of the workload that the services lead to. */
export const ROLES_LABELS = { app: 'web', version: 'v1' };

/** Two services of namespace `foo`, and the roles for them. */
export const roles: fc.Arbitrary<readonly ApiObject[]> = fc
  .record({
    config,
    rules: fc.array(fc.array(rule, { minLength: 1, maxLength: 2 }), { maxLength: 2 }),
    bindings: fc.array(
      fc.record({
        subjects: fc.array(subject, { minLength: 1, maxLength: 2 }),
        role: fc.constantFrom('role-0', 'role-1', 'role-2'),
        mode: fc.constantFrom('ENFORCED', 'ENFORCED', 'ENFORCED', 'PERMISSIVE'),
      }),
      { maxLength: 3 },
    ),
  })
  .map((made) => [
    service('web', 8080),
    service('admin', 9090),
    object('ClusterRbacConfig', 'default', made.config),
    ...made.rules.map((rules, index) => object('ServiceRole', `role-${index}`, { rules })),
    ...made.bindings.map(({ subjects, role, mode }, index) => {
      const roleRef = { kind: 'ServiceRole', name: role };
      return object('ServiceRoleBinding', `binding-${index}`, { subjects, roleRef, mode });
    }),
  ]);
