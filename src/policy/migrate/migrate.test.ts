// Objects of older APIs become objects of today that mean the same, or are told not to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Migration, migrate } from '#policy/migrate/migrate.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const SERVICES = `
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080},
   {name: tcp, port: 90, targetPort: 9090}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop},
 spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}}
`;

function policy(name: string, spec: string, namespace = 'shop'): string {
  const metadata = `{name: ${name}, namespace: ${namespace}}`;
  const head = 'apiVersion: authentication.istio.io/v1alpha1';
  return `---\n{${head}, kind: Policy, metadata: ${metadata}, spec: ${spec}}\n`;
}

function migrated(yaml: string): Migration {
  return migrate(testMesh(objectsOf(`${SERVICES}${yaml}`)).model.snapshot());
}

/** Specs of the new objects, by kind and name. */
function specs({ made }: Migration): Record<string, unknown> {
  return Object.fromEntries(
    made.map(({ object }) => [
      `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`,
      (object as { spec?: unknown }).spec,
    ]),
  );
}

function errors({ findings }: Migration): string[] {
  return findings
    .filter(({ severity }) => severity === 'error')
    .map(({ object, field, message }) => `${object.metadata.name} ${field}: ${message}`);
}

const MESH_STRICT =
  '---\n{apiVersion: authentication.istio.io/v1alpha1, kind: MeshPolicy, metadata: {name: default}, spec: {peers: [{mtls: {}}]}}';

test('the policies of the mesh and of a namespace become policies without selector', () => {
  const migration = migrated(
    `${MESH_STRICT}\n${policy('default', '{peers: [{mtls: {mode: PERMISSIVE}}]}')}`,
  );
  assert.deepEqual(errors(migration), []);
  assert.deepEqual(specs(migration), {
    'PeerAuthentication istio-system/default': { mtls: { mode: 'STRICT' } },
    'PeerAuthentication shop/default': { mtls: { mode: 'PERMISSIVE' } },
  });
});

test('no peers mean plaintext, so the mode is DISABLE', () => {
  assert.deepEqual(specs(migrated(policy('default', '{}'))), {
    'PeerAuthentication shop/default': { mtls: { mode: 'DISABLE' } },
  });
});

test('a target becomes the selector of its service, with the ports of its workloads', () => {
  const one = migrated(
    policy('web', '{targets: [{name: web, ports: [{number: 80}]}], peers: [{mtls: {}}]}'),
  );
  assert.ok(one.isProven);
  assert.deepEqual(specs(one), {
    'PeerAuthentication shop/web': {
      selector: { matchLabels: { app: 'web' } },
      portLevelMtls: { 8080: { mode: 'STRICT' } },
    },
  });
});

test('several policies for one service become one object, the narrower counting', () => {
  const migration = migrated(
    policy('all', '{targets: [{name: web}], peers: [{mtls: {}}]}') +
      policy('http', '{targets: [{name: web, ports: [{name: http}]}], peers: []}'),
  );
  assert.ok(migration.isProven);
  assert.deepEqual(Object.values(specs(migration)), [
    {
      selector: { matchLabels: { app: 'web' } },
      portLevelMtls: { 8080: { mode: 'DISABLE' }, 9090: { mode: 'STRICT' } },
    },
  ]);
  assert.equal(migration.replaced.length, 2);
});

const JWT = 'jwt: {issuer: "https://issuer.test", jwksUri: "https://issuer.test/keys"';

test('tokens that are needed are denied to be missing, on the HTTP ports of the target', () => {
  const migration = migrated(policy('web', `{targets: [{name: web}], origins: [{${JWT}}}]}`));
  assert.deepEqual(errors(migration), []);
  const found = specs(migration);
  assert.deepEqual(found['RequestAuthentication shop/web'], {
    selector: { matchLabels: { app: 'web' } },
    jwtRules: [
      {
        issuer: 'https://issuer.test',
        jwksUri: 'https://issuer.test/keys',
        forwardOriginalToken: true,
      },
    ],
  });
  const deny = found['AuthorizationPolicy shop/web-needs-token'] as {
    action: string;
    rules: { to: { operation: { ports: string[] } }[] }[];
  };
  assert.equal(deny.action, 'DENY');
  assert.deepEqual(
    deny.rules.map(({ to }) => to[0]?.operation.ports),
    [['8080'], ['8080'], ['8080']],
  );
  const told = migration.findings.map(({ message }) => message);
  assert.ok(told.some((message) => message.includes('403, not 401')));
});

test('a token that is optional is denied to nobody', () => {
  const spec = `{targets: [{name: web}], origins: [{${JWT}}}], originIsOptional: true}`;
  const migration = migrated(policy('web', spec));
  assert.ok(migration.isProven);
  assert.equal(specs(migration)['AuthorizationPolicy shop/web-needs-token'], undefined);
});

test('paths of trigger rules become paths of the rule that denies', () => {
  const triggers = '[{excludedPaths: [{exact: /healthz}, {prefix: /public/}, {suffix: .css}]}]';
  const spec = `{targets: [{name: web}], origins: [{${JWT}, triggerRules: ${triggers}}}]}`;
  const migration = migrated(policy('web', spec));
  assert.deepEqual(errors(migration), []);
  assert.match(
    JSON.stringify(specs(migration)),
    /"notPaths":\["\/healthz","\/public\/\*","\*\.css"\]/,
  );
});

test('what the new API cannot say is told with its field', () => {
  const jwt = (triggers: string) =>
    policy('web', `{targets: [{name: web}], origins: [{${JWT}, triggerRules: ${triggers}}}]}`);
  const cases: readonly [string, RegExp][] = [
    [
      jwt('[{includedPaths: [{regex: "/a.*b"}]}]'),
      /^web spec.origins\[0\].jwt.triggerRules\[0\].includedPaths\[0\]: .*whole paths, beginnings and ends/,
    ],
    [jwt('[{includedPaths: [{exact: "/a*"}]}]'), /whole paths, beginnings and ends/],
    [policy('default', '{peers: [{jwt: {issuer: a}}]}'), /^default spec.peers: .*only a token/],
    [
      policy('default', '{peers: [{mtls: {}}]}', 'istio-system'),
      /^default metadata.namespace: .*whole mesh/,
    ],
    [policy('x', '{targets: [{name: gone}]}'), /^x spec.targets\[0\].name: .*no such Service/],
  ];
  for (const [yaml, wanted] of cases) {
    const migration = migrated(yaml);
    assert.equal(migration.isProven, false, yaml);
    assert.ok(
      errors(migration).some((error) => wanted.test(error)),
      errors(migration).join('\n'),
    );
  }
});

test('where everything is known, a target that is not there means nothing', () => {
  const yaml = policy('x', '{targets: [{name: gone}], peers: [{mtls: {}}]}');
  const mesh = testMesh(objectsOf(`${SERVICES}${yaml}`)).model.snapshot();
  const { isProven, made, findings } = migrate(mesh, { knowsAll: true });
  assert.ok(isProven);
  assert.deepEqual(made, []);
  assert.deepEqual(
    findings.map(({ field, severity }) => [field, severity]),
    [['spec.targets[0].name', 'warning']],
  );
});

test('a service without selector, or with ports that have only a name, is told', () => {
  const service = (spec: string) =>
    `---\n{apiVersion: v1, kind: Service, metadata: {name: odd, namespace: shop}, spec: ${spec}}\n`;
  const odd = policy('odd', '{targets: [{name: odd}], peers: [{mtls: {}}]}');
  const bare = migrated(service('{ports: [{port: 80}]}') + odd);
  assert.match(errors(bare).join(), /odd spec.targets\[0\].name: .*no selector/);
  const named = service('{selector: {app: odd}, ports: [{port: 80, targetPort: http}]}');
  assert.match(
    errors(migrated(named + odd)).join(),
    /odd spec.targets\[0\]: .*number of port "http"/,
  );
  const entry =
    '---\n{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: odd-1, namespace: shop}, spec: {address: 10.0.0.1, labels: {app: odd}, ports: {http: 7070}}}\n';
  const known = migrated(named + entry + odd);
  assert.deepEqual(errors(known), []);
  assert.match(JSON.stringify(specs(known)), /"portLevelMtls":\{"7070"/);
});

test('one selector inside of another is told: of two objects only the older one would count', () => {
  const inner =
    '---\n{apiVersion: v1, kind: Service, metadata: {name: inner, namespace: shop}, spec: {selector: {app: web, v: "2"}, ports: [{port: 7000}]}}\n';
  const migration = migrated(
    inner +
      policy('web', '{targets: [{name: web}], peers: [{mtls: {}}]}') +
      policy('inner', '{targets: [{name: inner}], peers: [{mtls: {mode: PERMISSIVE}}]}'),
  );
  assert.equal(migration.isProven, false);
  assert.match(errors(migration).join('\n'), /app=web,v=2.*one of several/);
});

test('two services with one selector share one object', () => {
  const second =
    '---\n{apiVersion: v1, kind: Service, metadata: {name: second, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 7000}]}}\n';
  const migration = migrated(
    second +
      policy('web', '{targets: [{name: web}], peers: [{mtls: {}}]}') +
      policy('second', '{targets: [{name: second}], peers: []}'),
  );
  assert.deepEqual(errors(migration), []);
  assert.deepEqual(specs(migration), {
    'PeerAuthentication shop/second': {
      selector: { matchLabels: { app: 'web' } },
      portLevelMtls: {
        7000: { mode: 'DISABLE' },
        8080: { mode: 'STRICT' },
        9090: { mode: 'STRICT' },
      },
    },
  });
});

test('objects that a new one shadows go without anything in their place', () => {
  const shadow =
    '---\n{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: shop}, spec: {mtls: {mode: STRICT}}}\n';
  const migration = migrated(
    `${shadow}${policy('web', '{targets: [{name: web}], peers: [{mtls: {mode: PERMISSIVE}}]}')}`,
  );
  assert.ok(migration.isProven);
  assert.deepEqual(migration.made, []);
  assert.equal(migration.replaced.length, 1);
});

test('a policy whose tokens another one overrides is told', () => {
  const other = 'jwt: {issuer: "https://other.test", jwksUri: "https://other.test/keys"}';
  const migration = migrated(
    policy('default', `{origins: [{${JWT}}}]}`) +
      policy('web', `{targets: [{name: web}], origins: [{${other}}]}`),
  );
  assert.equal(migration.isProven, false);
  assert.match(errors(migration).join('\n'), /workloads app=web in shop, port 8080: .*would be/);
});
