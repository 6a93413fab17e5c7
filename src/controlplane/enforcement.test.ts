// Proves that the status of a policy says on how many proxies it is enforced: of those that took
// the configuration with it, no others; and why not on the rest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { Enforcement } from '#controlplane/enforcement.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { settle } from '../../test/kit/ads-harness.ts';
import { CDS, ECDS, EnforcedMesh } from '../../test/kit/enforced-mesh.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const KEY = { kind: 'authorizationpolicies.security.istio.io', namespace: 'ns', name: 'p' };
const RULE = {
  kind: 'destinationrules.networking.istio.io',
  namespace: 'ns',
  name: 'calls',
} as const;

const policy = (spec: string, name = 'p'): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ns }
spec: ${spec}
`;
const FOR_WEB = '{ selector: { matchLabels: { app: web } }, rules: [{}] }';
const entry = (name: string, app: string): string => `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: ns }
spec: { address: 10.0.0.9, labels: { app: ${app} }, serviceAccount: sa }
`;

async function started(t: { after(run: () => Promise<void>): void }): Promise<EnforcedMesh> {
  const world = new EnforcedMesh();
  await world.start(t);
  return world;
}

test('a policy is enforced once every selected proxy took the configuration with it', async (t) => {
  const world = await started(t);
  const [web, other] = [await world.connect('web'), await world.connect('other')];
  await world.put(policy(FOR_WEB));
  await world.says(KEY, 'Accepted', /^True Accepted: decides about 1 workload: web\.ns$/);
  await world.says(KEY, 'Reconciled', /^False Waiting: enforced on 0 of 1 proxy; web\.ns has not/);
  other.ackAll();
  await world.says(KEY, 'Reconciled', /^False/);
  web.ackAll();
  await world.says(KEY, 'Reconciled', /^True Enforced: enforced on 1 of 1 proxy$/);
  assert.equal((await world.condition(KEY, 'Reconciled'))?.observedGeneration, 1);
});

test('a change of the settings of the mesh is enforced once every proxy took it', async (t) => {
  const world = await started(t);
  const [web, other] = [await world.connect('web'), await world.connect('other')];
  await world.put(policy('{ rules: [{ to: [{ operation: { paths: ["/x"] } }] }] }'));
  for (const proxy of [web, other]) proxy.ackAll();
  await world.says(KEY, 'Reconciled', /^True Enforced: enforced on 2 of 2 proxies$/);
  assert.ok(world.mesh.useConfig({ pathNormalization: { normalization: 'NONE' } }));
  world.server.configChanged();
  await settle();
  web.ackAll();
  await world.says(KEY, 'Reconciled', /^False Waiting: enforced on 1 of 2 proxies; other\.ns/);
  other.ackAll();
  await world.says(KEY, 'Reconciled', /^True Enforced: enforced on 2 of 2 proxies$/);
});

test('who waits for a change hears of it before the next round over all policies', async (t) => {
  const world = await started(t);
  const web = await world.connect('web');
  world.clock.advance(1000);
  await settle();
  await world.put(policy(FOR_WEB));
  world.clock.advance(20);
  await settle();
  assert.equal(await world.condition(KEY, 'Reconciled'), undefined);
  web.ackAll();
  await waitUntil(async () => {
    world.clock.advance(10);
    return (await world.condition(KEY, 'Reconciled'))?.status === 'True';
  }, 'it is said that the policy is enforced');
  const startMs = Date.UTC(2026, 0, 1);
  assert.ok(world.clock.now() - startMs < 1500, 'without a round over all policies');
});

test('a refusal names the proxy and says what Envoy said, until it is taken back', async (t) => {
  const world = await started(t);
  const [a, b] = [await world.connect('web'), await world.connect('other')];
  await world.put(policy('{ rules: [{ to: [{ operation: { paths: ["/x"] } }] }] }'));
  a.ackAll();
  b.nack(ECDS, 'extension config: bad rule');
  for (let last = 0; last < b.responses.length; ) {
    last = b.responses.length;
    b.nack(ECDS, 'extension config: bad rule');
  }
  await world.says(
    KEY,
    'Reconciled',
    /^False Refused: enforced on 1 of 2 proxies; other\.ns refused/,
  );
  await world.says(KEY, 'Reconciled', /refused it: extension config: bad rule$/);
  await world.put(policy('{ rules: [{}] }'));
  a.ackAll();
  b.ack(ECDS);
  b.ackAll();
  await world.says(KEY, 'Reconciled', /^True Enforced: enforced on 2 of 2 proxies$/);
});

test('a policy of before a refusal is still enforced, one of after it is not', async (t) => {
  const world = await started(t);
  const web = await world.connect('web');
  const [before, after] = [
    { ...KEY, name: 'before' },
    { ...KEY, name: 'after' },
  ];
  await world.put(policy('{ action: DENY, rules: [{}] }', 'before'));
  web.ackAll();
  await world.says(before, 'Reconciled', /^True/);
  await world.put(policy('{ action: DENY, rules: [{ to: [{ operation: { ports: ["1"] } }] }] }'));
  const refuseAll = (): void => {
    for (let last = -1; last < web.responses.length; ) {
      last = web.responses.length;
      web.nack(ECDS, 'bad');
    }
  };
  refuseAll();
  await world.says(KEY, 'Reconciled', /^False Refused/);
  await world.put(policy('{ action: DENY, rules: [{}] }', 'after'));
  refuseAll();
  await world.says(after, 'Reconciled', /^False Refused/);
  await world.says(before, 'Reconciled', /^True/);
});

test('a policy that selects nothing says so, until something is selected', async (t) => {
  const world = await started(t);
  const web = await world.connect('web');
  await world.put(policy('{ selector: { matchLabels: { app: webb } }, rules: [{}] }'));
  await world.says(
    KEY,
    'Accepted',
    /^False ZeroMatch: .*the labels app=webb; did you mean app=web\?$/,
  );
  await world.says(KEY, 'Reconciled', /^Unknown NoWorkloads/);
  await world.put(policy(FOR_WEB));
  web.ackAll();
  await world.says(KEY, 'Accepted', /^True Accepted/);
  await world.says(KEY, 'Reconciled', /^True/);
  assert.equal((await world.condition(KEY, 'Accepted'))?.observedGeneration, 2);
});

test('workloads whose proxy is not connected are named, and are not counted', async (t) => {
  const world = await started(t);
  await world.put(`${entry('lost', 'web')}---${policy(FOR_WEB)}`);
  await world.says(KEY, 'Reconciled', /^Unknown NoProxies: .*not connected: lost\.ns$/);
  const web = await world.connect('web');
  await world.says(
    KEY,
    'Reconciled',
    /^True Enforced: enforced on 1 of 1 proxy; not connected: lost/,
  );
  web.disconnect();
  await world.says(KEY, 'Reconciled', /^Unknown NoProxies/);
});

test('a proxy whose labels bring it under a policy has to take that first', async (t) => {
  const world = await started(t);
  await world.put(`${entry('one', 'other')}---${policy(FOR_WEB)}`);
  const one = await world.connect('one');
  await world.says(KEY, 'Accepted', /^False/);
  await world.put(entry('one', 'web'));
  await world.says(KEY, 'Reconciled', /^False Waiting/);
  one.ackAll();
  await world.says(KEY, 'Reconciled', /^True/);
});

test('writes of a status make no configuration, and end when all is said', async (t) => {
  const world = await started(t);
  const web = await world.connect('web');
  await world.put(policy(FOR_WEB));
  web.ackAll();
  await world.says(KEY, 'Reconciled', /^True/);
  const [made, version] = [world.made, await world.store.currentVersion()];
  const object = (await world.store.get(KEY)) as ApiObject & { readonly status: object };
  const theirs = { ...object, status: { ...object.status, theirs: true } };
  await world.store.updateStatus(theirs);
  await settle();
  assert.equal(world.made, made);
  world.clock.advance(60_000);
  await settle();
  assert.equal(Number(await world.store.currentVersion()), Number(version) + 1);
  assert.equal(object.metadata.generation, 1);
});

test('a rule for calls is in force at callers, and only what is for its host keeps it back', async (t) => {
  const world = await started(t);
  await world.put(`
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: ns }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: bank, namespace: ns }
spec: { selector: { app: bank }, ports: [{ name: http, port: 80 }] }
`);
  const web = await world.connect('web');
  const rule = (host: string, connections: number, name = 'calls'): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: ns }
spec: { host: ${host}, trafficPolicy: { tls: { mode: DISABLE, sni: s${connections} } } }
`;
  await world.put(rule('shop', 1));
  await world.says(RULE, 'Reconciled', /^False Waiting/);
  web.nack(CDS, 'outbound|80||shop.ns.svc.cluster.local is bad');
  await world.says(RULE, 'Reconciled', /^False Refused/);
  await world.put(rule('bank', 1, 'other'));
  web.ackAll();
  await world.says({ ...RULE, name: 'other' }, 'Reconciled', /^True/);
  await world.says(RULE, 'Reconciled', /^False Refused/);
});

test('an object that came after the last look is not taken for one that selects nobody', async (t) => {
  const world = await started(t);
  const web = await world.connect('web');
  const { mesh, server } = world;
  const enforcement = new Enforcement({
    mesh: () => mesh.model.snapshot(),
    objectsOf: (workload) => mesh.objectsDeciding(workload),
    versionOf: (one) => mesh.model.versionOf(one),
    progress: () => server.progress(),
  });
  enforcement.look();
  await world.put(policy(FOR_WEB));
  web.ackAll();
  const object = (await world.store.get(KEY)) as ApiObject;
  assert.deepEqual(enforcement.verdictOf(object).workloads, { count: 1, first: ['web.ns'] });
});

test('a proxy that takes the id of another one does not answer for it', async (t) => {
  const world = await started(t);
  await world.connect('web');
  const { mesh, server } = world;
  const taken = { version: Number.MAX_SAFE_INTEGER, refused: [], isWaiting: false };
  const enforcement = new Enforcement({
    mesh: () => mesh.model.snapshot(),
    objectsOf: (workload) => mesh.objectsDeciding(workload),
    versionOf: (one) => mesh.model.versionOf(one),
    progress: () => {
      const identity = parseSpiffeId('spiffe://cluster.local/ns/ns/sa/other');
      const impostors = server.progress().map((one) => ({
        ...one,
        node: { ...one.node, identity, serviceAccount: 'other' },
        types: { cds: taken, lds: taken, ecds: taken },
      }));
      return [...server.progress(), ...impostors];
    },
  });
  await world.put(policy(FOR_WEB));
  const object = (await world.store.get(KEY)) as ApiObject;
  const { proxies, enforcing } = enforcement.verdictOf(object);
  assert.deepEqual({ proxies, enforcing }, { proxies: 2, enforcing: 1 });
});
