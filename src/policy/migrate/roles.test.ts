// Roles and bindings become authorization policies that let in whom they let in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ApiObject } from '#api/object.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { type Migration, migrate } from '#policy/migrate/migrate.ts';
import { workloadWith } from '#policy/migrate/workload-shape.ts';
import { request } from '../../../test/kit/authz-arbitrary.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';
import { ROLES_LABELS, roles } from '../../../test/kit/roles-arbitrary.ts';

const SHOP = `
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: open, namespace: shop},
 spec: {selector: {app: open}, ports: [{name: http, port: 80}]}}
`;

function older(kind: string, name: string, spec: string): string {
  const namespace = kind === 'ClusterRbacConfig' ? '' : ', namespace: shop';
  const metadata = `{name: ${name}${namespace}}`;
  return `---\n{apiVersion: rbac.istio.io/v1alpha1, kind: ${kind}, metadata: ${metadata}, spec: ${spec}}\n`;
}

const ON = older('ClusterRbacConfig', 'default', '{mode: ON}');
const VIEWER = older('ServiceRole', 'viewer', '{rules: [{services: [web], methods: [GET]}]}');
const BINDING = older(
  'ServiceRoleBinding',
  'viewers',
  '{subjects: [{user: cluster.local/ns/shop/sa/a}, {properties: {source.namespace: b}}], roleRef: {kind: ServiceRole, name: viewer}}',
);

function migrated(...parts: string[]): Migration {
  return migrate(testMesh(objectsOf(`${SHOP}${parts.join('')}`)).model.snapshot());
}

function specs({ made }: Migration): Record<string, unknown> {
  return Object.fromEntries(
    made.map(({ object }) => [
      `${object.metadata.namespace}/${object.metadata.name}`,
      (object as { spec?: unknown }).spec,
    ]),
  );
}

function errors({ findings }: Migration): string[] {
  return findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
}

test('where roles are on nobody is let in, but whom a binding names', () => {
  const migration = migrated(ON, VIEWER, BINDING);
  assert.deepEqual(errors(migration), []);
  const to = [{ operation: { methods: ['GET'] } }];
  assert.deepEqual(specs(migration), {
    'istio-system/allow-nobody': {},
    'shop/viewers': {
      selector: { matchLabels: { app: 'web' } },
      rules: [
        { from: [{ source: { principals: ['cluster.local/ns/shop/sa/a'] } }], to },
        { to, when: [{ key: 'source.namespace', values: ['b'] }] },
      ],
    },
  });
});

test('roles that nothing turned on go without anything in their place', () => {
  const migration = migrated(VIEWER, BINDING);
  assert.ok(migration.isProven);
  assert.deepEqual(migration.made, []);
  assert.equal(migration.replaced.length, 2);
});

test('a role for all services is a policy for the namespace', () => {
  const all = older('ServiceRole', 'viewer', '{rules: [{services: ["*"]}]}');
  const migration = migrated(ON, all, BINDING);
  assert.deepEqual(errors(migration), []);
  assert.equal((specs(migration)['shop/viewers'] as { selector?: object }).selector, undefined);
});

test('inclusion refuses in what is named, exclusion lets in', () => {
  const named = '{services: [open.shop.svc.cluster.local]}';
  const inclusion = older(
    'ClusterRbacConfig',
    'default',
    `{mode: ON_WITH_INCLUSION, inclusion: ${named}}`,
  );
  const exclusion = older(
    'ClusterRbacConfig',
    'default',
    `{mode: ON_WITH_EXCLUSION, exclusion: ${named}}`,
  );
  const selector = { matchLabels: { app: 'open' } };
  const refused = migrated(inclusion);
  assert.deepEqual(errors(refused), []);
  assert.deepEqual(specs(refused), { 'shop/allow-nobody': { selector } });
  const excluded = migrated(exclusion);
  assert.deepEqual(errors(excluded), []);
  assert.deepEqual(specs(excluded), {
    'istio-system/allow-nobody': {},
    'shop/allow-without-role': { selector, rules: [{}] },
  });
});

test('a rehearsal stays one', () => {
  const config = older('ClusterRbacConfig', 'default', '{mode: ON, enforcementMode: PERMISSIVE}');
  const migration = migrated(config, VIEWER, BINDING);
  assert.deepEqual(errors(migration), []);
  for (const { object } of migration.made) {
    assert.equal(object.metadata.annotations?.['istio.io/dry-run'], 'true');
  }
});

test('where the end user is the principal, roles are about the end user', () => {
  const jwt = 'jwt: {issuer: "https://i.test", jwksUri: "https://i.test/keys"}';
  const policy = `---\n{apiVersion: authentication.istio.io/v1alpha1, kind: Policy, metadata: {name: web, namespace: shop}, spec: {targets: [{name: web}], origins: [{${jwt}}], principalBinding: USE_ORIGIN}}\n`;
  const user = older(
    'ServiceRoleBinding',
    'viewers',
    '{subjects: [{user: "https://i.test/someone"}], roleRef: {kind: ServiceRole, name: viewer}}',
  );
  const migration = migrated(ON, VIEWER, user, policy);
  assert.deepEqual(errors(migration), []);
  const { rules } = specs(migration)['shop/viewers'] as { readonly rules: readonly unknown[] };
  assert.deepEqual(rules[1], {
    from: [{ source: { requestPrincipals: ['https://i.test/someone'] } }],
    to: [{ operation: { methods: ['GET'], ports: ['8080'] } }],
  });
});

test('what selectors cannot say is told', () => {
  const role = (constraint: string) =>
    older('ServiceRole', 'viewer', `{rules: [{services: [web], constraints: [${constraint}]}]}`);
  const user = migrated(ON, role('{key: destination.user, values: [app]}'), BINDING);
  assert.match(errors(user).join('\n'), /not by their accounts/);
  const label = migrated(ON, role('{key: "destination.labels[v]", values: ["1*"]}'), BINDING);
  assert.match(errors(label).join('\n'), /labels with whole values/);
  const whole = migrated(ON, role('{key: "destination.labels[v]", values: ["1", "2"]}'), BINDING);
  assert.deepEqual(errors(whole), []);
  const selectors = Object.values(specs(whole)).map((spec) => JSON.stringify(spec));
  assert.ok(selectors.some((spec) => spec.includes('{"app":"web","v":"2"}')));
});

test('a service that is not among the objects is told; where all are known it means nothing', () => {
  const role = older('ServiceRole', 'viewer', '{rules: [{services: [gone], methods: [GET]}]}');
  const config = older(
    'ClusterRbacConfig',
    'default',
    '{mode: ON_WITH_INCLUSION, inclusion: {services: [lost.shop.svc.cluster.local]}}',
  );
  const told = migrated(config, role, BINDING)
    .findings.map(({ field, message }) => `${field} ${/no such \w+/.exec(message)?.[0]}`)
    .join('\n');
  assert.match(told, /^spec.rules\[0\].services\[0\] no such Service$/m);
  assert.match(told, /^spec.inclusion.services\[0\] no such Service$/m);
  assert.match(errors(migrated(ON, BINDING)).join(), /no such ServiceRole/);
  const mesh = testMesh(objectsOf(`${SHOP}${config}${role}${BINDING}`)).model.snapshot();
  assert.deepEqual(errors(migrate(mesh, { knowsAll: true })), []);
});

test('a policy that is there already and a role that did not count are told', () => {
  const policy =
    '---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: only, namespace: shop}, spec: {selector: {matchLabels: {app: web}}, rules: [{to: [{operation: {methods: [PUT]}}]}]}}\n';
  const migration = migrated(ON, VIEWER, BINDING, policy);
  assert.equal(migration.isProven, false);
  assert.match(errors(migration).join('\n'), /is refused, and would be let in/);
});

test('random roles decide as the policies that are made of them', () => {
  let proven = 0;
  const property = fc.property(
    roles,
    fc.array(request, { minLength: 10, maxLength: 20 }),
    (old, requests) => {
      const before = testMesh(old, { hardening: 'istio' }).model.snapshot();
      const { made, replaced, isProven } = migrate(before, { knowsAll: true });
      if (!isProven || made.length === 0) return;
      proven += 1;
      const kept = old.filter(({ kind }) => kind === 'Service');
      assert.equal(replaced.length, old.length - kept.length);
      const news: readonly ApiObject[] = made.map(({ object }) => object);
      const after = testMesh([...kept, ...news], { hardening: 'istio' }).model.snapshot();
      const [was, is] = [before, after].map((mesh) =>
        new Authorizer(mesh.settings).authorizationFor(
          workloadWith(ROLES_LABELS, 'foo', mesh),
          mesh,
        ),
      );
      assert.ok(was && is);
      // The services say that their ports speak HTTP.
      const possible = requests.filter(
        ({ http, destination }) => http !== undefined || ![8080, 9090].includes(destination.port),
      );
      for (const one of possible) {
        const decide = (all: typeof was): string => evaluate(all, one, 'istio').decision;
        assert.equal(decide(is), decide(was), JSON.stringify({ one, made }, null, 1));
      }
    },
  );
  fc.assert(property, { numRuns: 200, seed: 20_261_122 });
  assert.ok(proven >= 60, `${proven} of the random roles could be carried over`);
});
