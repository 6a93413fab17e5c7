import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Diagnostic } from '#api/diagnostic.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject } from '#api/object.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { PolicyStatus } from '#controlplane/policy-status.ts';
import type { Verdict } from '#controlplane/verdict.ts';
import { GatewayApiStates } from '#policy/gateway/gateway-api-state.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const KEY = { kind: 'policies.authentication.istio.io', namespace: 'shop', name: 'web' } as const;
const POLICY: ApiObject = {
  apiVersion: 'authentication.istio.io/v1alpha1',
  kind: 'Policy',
  metadata: { name: KEY.name, namespace: KEY.namespace },
};

type WithStatus = ApiObject & { readonly status?: IstioStatus };

const NOBODY = { count: 0, first: [] };
const VERDICT: Verdict = {
  generation: 1,
  workloads: NOBODY,
  near: [],
  away: NOBODY,
  proxies: 0,
  enforcing: 0,
  behind: [],
};

/** A controller with a policy about which `found` is found, at a time that a test moves. */
function setUp(t: TestContext, ...found: readonly Diagnostic[]) {
  return setUpWith(t, { found });
}

/** The same for a policy of which something was said before the controller started. */
async function setUpWith(
  t: TestContext,
  { found, before }: { readonly found: readonly Diagnostic[]; readonly before?: IstioStatus },
) {
  const clock = new FakeClock();
  const deps = { clock, random: systemRandom, log: silentLogger };
  const store = new MemoryStore(deps);
  const world = { found, version: 1, verdict: VERDICT };
  const findings = () => new Map(world.found.length === 0 ? [] : [[POLICY, world.found]]);
  const controller = new PolicyStatus({
    ...deps,
    store,
    findings,
    gatewayApi: () => new GatewayApiStates(testMesh([]).model.snapshot()),
    version: () => world.version,
    enforcement: { look: () => {}, verdictOf: () => world.verdict },
  });
  t.after(() => controller.close());
  await store.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await store.create(POLICY);
  if (before) await store.updateStatus({ ...POLICY, status: before } as ApiObject);
  await controller.start();
  const status = async () => ((await store.get(KEY)) as WithStatus | undefined)?.status;
  const touch = async () => {
    const labels = { touched: `${clock.now()}` };
    const now = (await store.get(KEY)) as ApiObject;
    await store.update({ ...now, metadata: { ...now.metadata, labels } });
    world.version += 1;
  };
  /** Lets time pass until the status is as wanted. */
  const reaches = (holds: (status: IstioStatus | undefined) => boolean | undefined) =>
    waitUntil(async () => {
      clock.advance(600);
      return holds(await status());
    }, 'the status is as wanted');
  const advance = (byMs: number): void => clock.advance(byMs);
  return { store, world, status, touch, reaches, advance };
}

function finding(severity: Diagnostic['severity'], message: string, remedy?: string): Diagnostic {
  return { severity, field: 'spec', message, ...(remedy === undefined ? {} : { remedy }) };
}

const conditionOf = (status: IstioStatus | undefined) =>
  status?.conditions?.find(({ type }) => type === 'Findings');

describe('the status of policies', () => {
  it('says what was found, the worst first, with what to do', async (t) => {
    const world = await setUp(t, finding('warning', 'b', 'do c'), finding('error', 'a'));
    await world.reaches((status) => conditionOf(status) !== undefined);
    const { lastTransitionTime, ...condition } = conditionOf(await world.status()) ?? {};
    assert.deepEqual(condition, {
      type: 'Findings',
      status: 'True',
      reason: 'Error',
      message: 'spec: a; spec: b (do c)',
      observedGeneration: 1,
    });
    assert.match(lastTransitionTime ?? '', /^2026-01-01T/);
  });

  it('names the worst of what was found as the reason', async (t) => {
    const [note, careful] = [finding('info', 'a'), finding('warning', 'b')];
    for (const [found, reason] of [
      [[note], 'Note'],
      [[note, careful], 'Warning'],
    ] as const) {
      const world = await setUp(t, ...found);
      await world.reaches((status) => conditionOf(status)?.reason === reason);
    }
  });

  it('loses the condition with its reasons, and keeps those of others', async (t) => {
    const world = await setUp(t, finding('warning', 'a'));
    await world.reaches((status) => conditionOf(status) !== undefined);
    const now = (await world.store.get(KEY)) as WithStatus;
    const conditions = [...(now.status?.conditions ?? []), { type: 'Theirs', status: 'True' }];
    await world.store.updateStatus({ ...now, status: { conditions } } as ApiObject);
    world.world.found = [];
    await world.touch();
    await world.reaches((status) => conditionOf(status) === undefined);
    const left = (await world.status())?.conditions?.map(({ type }) => type);
    assert.deepEqual(left?.sort(), ['Accepted', 'Reconciled', 'Theirs']);
  });

  it('is not written while nothing changes', async (t) => {
    const world = await setUp(t, finding('warning', 'a'));
    await world.reaches((status) => conditionOf(status) !== undefined);
    const version = await world.store.currentVersion();
    await world.reaches(() => true);
    await world.reaches(() => true);
    assert.equal(await world.store.currentVersion(), version);
  });

  it('has no such condition where nothing is found', async (t) => {
    const world = await setUp(t);
    await world.reaches((status) => status?.conditions !== undefined);
    const types = (await world.status())?.conditions?.map(({ type }) => type);
    assert.deepEqual(types, ['Accepted', 'Reconciled']);
  });

  it('says after a start what was said before, until proxies had time to come back', async (t) => {
    const condition = { type: 'Reconciled', status: 'True', observedGeneration: 1 };
    const before = { conditions: [condition] };
    const world = await setUpWith(t, { found: [finding('info', 'a')], before });
    await world.reaches((status) => conditionOf(status) !== undefined);
    const said = async () =>
      (await world.status())?.conditions?.find(({ type }) => type === 'Reconciled')?.status;
    assert.equal(await said(), 'True');
    world.advance(10_000);
    await world.reaches((status) =>
      status?.conditions?.some(({ type, status: is }) => type === 'Reconciled' && is === 'Unknown'),
    );
  });

  it('is written bit by bit where there is much to write', async (t) => {
    const world = await setUp(t);
    const count = LIMITS.statusWritesPerRoundMax + 50;
    const names = Array.from({ length: count }, (_, index) => `p${index}`);
    for (const name of names) {
      await world.store.create({ ...POLICY, metadata: { ...POLICY.metadata, name } });
    }
    const written = async () => {
      const { items } = await world.store.list(KEY.kind);
      return items.filter((one) => (one as WithStatus).status !== undefined).length;
    };
    world.advance(11);
    await waitUntil(async () => (await written()) > 0, 'the first are written');
    assert.ok((await written()) <= LIMITS.statusWritesPerRoundMax, 'not all at once');
    await world.reaches(() => true);
    await waitUntil(async () => {
      world.advance(600);
      return (await written()) === count + 1;
    }, 'all are written');
  });
});
