// What is proven is true: where migrated objects are said to mean the same, the decider, which
// knows nothing of the proof, decides alike on random calls to random workloads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ApiObject } from '#api/object.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { Workload } from '#model/workload.ts';
import type { Call } from '#policy/decide/call.ts';
import { Decider } from '#policy/decide/decider.ts';
import { migrate } from '#policy/migrate/migrate.ts';
import { CALLERS } from '../../../test/kit/authz-arbitrary.ts';
import { testMesh } from '../../../test/kit/mesh.ts';

const NAMESPACES = ['shop', 'back'];
const PATHS = ['/', '/healthz', '/public/a', '/admin', '/a.css'];
const ISSUERS = ['https://a.test', 'https://b.test'];

function object(apiVersion: string, kind: string, metadata: object, spec: object): ApiObject {
  return { apiVersion, kind, metadata, spec } as unknown as ApiObject;
}

/** Services: two of different workloads, and one more for the workloads of the first. */
const SERVICES = NAMESPACES.flatMap((namespace) =>
  [
    { name: 'web', app: 'web', ports: [80, 8080] },
    { name: 'db', app: 'db', ports: [5432] },
    { name: 'also-web', app: 'web', ports: [9000] },
  ].map(({ name, app, ports }) =>
    object(
      'v1',
      'Service',
      { name, namespace },
      {
        selector: { app },
        ports: ports.map((port) => ({
          name: `${port === 5432 ? 'tcp' : 'http'}-${port}`,
          port,
          targetPort: port + 1,
        })),
      },
    ),
  ),
);

const WORKLOADS = NAMESPACES.flatMap((namespace) =>
  ['web', 'db', 'other'].map((app, index) =>
    object(
      'networking.istio.io/v1',
      'WorkloadEntry',
      { name: `${app}-1`, namespace },
      { address: `10.0.0.${index + 1}`, labels: { app }, serviceAccount: app },
    ),
  ),
);

const path = fc.constantFrom(
  { exact: '/healthz' },
  { prefix: '/public/' },
  { suffix: '.css' },
  { prefix: '/' },
);

const jwt = fc
  .record(
    {
      issuer: fc.constantFrom(...ISSUERS),
      triggerRules: fc.array(
        fc.record(
          {
            excludedPaths: fc.array(path, { minLength: 1, maxLength: 2 }),
            includedPaths: fc.array(path, { minLength: 1, maxLength: 2 }),
          },
          { requiredKeys: [] },
        ),
        { minLength: 1, maxLength: 2 },
      ),
    },
    { requiredKeys: ['issuer'] },
  )
  .map((made) => ({ jwt: { ...made, jwksUri: `${made.issuer}/keys` } }));

const peer = fc.constantFrom<object>(
  { mtls: {} },
  { mtls: { mode: 'PERMISSIVE' } },
  { mtls: null },
  { jwt: { issuer: 'https://a.test' } },
);

const spec = fc.record(
  {
    peers: fc.array(peer, { maxLength: 2 }),
    peerIsOptional: fc.boolean(),
    origins: fc.uniqueArray(jwt, { maxLength: 2, selector: (one) => one.jwt.issuer }),
    originIsOptional: fc.boolean(),
    principalBinding: fc.constantFrom('USE_PEER', 'USE_ORIGIN'),
  },
  { requiredKeys: [] },
);

const target = fc.record(
  {
    name: fc.constantFrom('web', 'db', 'also-web'),
    ports: fc.array(fc.constantFrom<object>({ number: 80 }, { name: 'http-9000' }), {
      minLength: 1,
      maxLength: 1,
    }),
  },
  { requiredKeys: ['name'] },
);

const OLD = 'authentication.istio.io/v1alpha1';

const older = fc
  .record({
    mesh: fc.option(spec),
    common: fc.array(fc.tuple(fc.constantFrom(...NAMESPACES), spec), { maxLength: 1 }),
    targeted: fc.array(
      fc.tuple(
        fc.constantFrom(...NAMESPACES),
        fc.array(target, { minLength: 1, maxLength: 2 }),
        spec,
      ),
      { maxLength: 3 },
    ),
    authorization: fc.option(
      fc.constantFrom<object>(
        { rules: [{ from: [{ source: { principals: ['*'] } }] }] },
        { rules: [{ to: [{ operation: { paths: ['/public/*'] } }] }] },
        { rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }] },
      ),
    ),
  })
  .map(({ mesh, common, targeted, authorization }) => [
    ...(mesh ? [object(OLD, 'MeshPolicy', { name: 'default' }, mesh)] : []),
    ...common.map(([namespace, made]) =>
      object(OLD, 'Policy', { name: 'default', namespace }, made),
    ),
    ...targeted.map(([namespace, targets, made], index) =>
      object(OLD, 'Policy', { name: `policy-${index}`, namespace }, { targets, ...made }),
    ),
    ...(authorization
      ? [
          object(
            'security.istio.io/v1',
            'AuthorizationPolicy',
            { name: 'rules', namespace: 'shop' },
            authorization,
          ),
        ]
      : []),
  ]);

interface RandomCall {
  readonly identity: Call['from']['identity'];
  readonly path: string;
  readonly method: string;
  readonly issuer: string | undefined;
}

const call: fc.Arbitrary<RandomCall> = fc.record({
  identity: fc.constantFrom(undefined, ...CALLERS.slice(0, 2)),
  path: fc.constantFrom(...PATHS),
  method: fc.constantFrom('GET', 'OPTIONS'),
  issuer: fc.constantFrom(undefined, ...ISSUERS),
});

/** The calls of one kind to every port of every workload. */
function everywhere(one: RandomCall, mesh: ReturnType<typeof snapshotOf>): readonly Call[] {
  const { identity, path: target, method, issuer } = one;
  return mesh.services.all().flatMap((service) =>
    service.ports.flatMap((port) =>
      mesh.workloads
        .in(service.namespace)
        .filter(({ labels }) => labels.app === service.selector?.app)
        .map((workload: Workload): Call => {
          const workloadPort = Number(port.targetPort);
          const http = port.protocol === 'tcp' ? undefined : { method, target, host: service.host };
          return {
            from: { identity, namespace: 'elsewhere', labels: {}, address: '10.9.9.9' },
            to: { service, port, workload, workloadPort, assumed: undefined },
            http,
            token: http && issuer ? { claims: { iss: issuer, sub: 'someone' } } : undefined,
          };
        }),
    ),
  );
}

function snapshotOf(objects: readonly ApiObject[], hardening: HardeningProfile) {
  return testMesh([...SERVICES, ...WORKLOADS, ...objects], { hardening }).model.snapshot();
}

for (const profile of ['strict', 'istio'] as const) {
  test(`profile ${profile}: what is proven to mean the same decides the same`, () => {
    let proven = 0;
    const property = fc.property(
      older,
      fc.array(call, { minLength: 4, maxLength: 8 }),
      (old, calls) => {
        const before = snapshotOf(old, profile);
        const { made, replaced, isProven, findings } = migrate(before);
        if (!isProven || made.length === 0) return;
        proven += 1;
        const kept = old.filter((one) => !replaced.includes(one));
        const after = snapshotOf([...kept, ...made.map((one) => one.object)], profile);
        const [was, is] = [new Decider(before), new Decider(after)];
        const isNoted = findings.some(({ message }) => message.includes('is not good is refused'));
        for (const one of calls) {
          const later = everywhere(one, after);
          for (const [index, asked] of everywhere(one, before).entries()) {
            const old = was.decide(asked, 0);
            const now = is.decide(later[index] ?? asked, 0);
            if (old.decision === now.decision) continue;
            // The one thing that is otherwise and told: a token that nobody looked at.
            const isToken = now.decidedBy.layer === 'token' && asked.token !== undefined;
            const shown = {
              one,
              to: asked.to.workloadPort,
              old: old.decidedBy,
              now: now.decidedBy,
            };
            assert.ok(isToken && isNoted, JSON.stringify({ ...shown, made }, null, 1));
          }
        }
      },
    );
    fc.assert(property, { numRuns: 150, seed: 20_261_122 });
    assert.ok(proven >= 30, `${proven} of the random policies could be carried over`);
  });
}
