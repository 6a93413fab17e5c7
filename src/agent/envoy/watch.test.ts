import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import type { Unready } from '#agent/envoy/readiness.ts';
import { watchEnvoy } from '#agent/envoy/watch.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

/** What the admin interface of an Envoy says; a missing part is no answer. */
interface Said {
  stats?: Readonly<Record<string, number>>;
  ready?: number;
  listeners?: readonly number[];
}

const CONFIGURED = {
  'server.state': 0,
  'listener_manager.workers_started': 1,
  'cluster_manager.cds.update_success': 1,
  'listener_manager.lds.update_success': 1,
  'control_plane.connected_state': 1,
};

/** Watches an Envoy that says what the test lets it say. */
function setUp(t: TestContext, said: Said, compulsoryPorts: readonly number[] = []) {
  const clock = new FakeClock();
  const looks: (string | undefined)[] = [];
  const hopeless: Unready[] = [];
  const ended = new AbortController();
  let news = new AbortController();
  const tell = (): void => {
    news.abort();
    news = new AbortController();
  };
  const answer = (path: string): { status: number; body: string } | undefined => {
    if (path === '/ready')
      return said.ready === undefined ? undefined : { status: said.ready, body: '' };
    if (path.startsWith('/stats')) return said.stats && { status: 200, body: lines(said.stats) };
    const statuses = said.listeners?.map((port) => ({
      local_address: { socket_address: { port_value: port } },
    }));
    return { status: 200, body: JSON.stringify({ listener_statuses: statuses }) };
  };
  const admin = {
    get: async (path: string) => {
      asked.push(path);
      const found = answer(path);
      if (!found) throw new Error('no answer');
      return found;
    },
  } as EnvoyAdmin;
  const asked: string[] = [];
  const watching = watchEnvoy(
    {
      compulsoryPorts,
      signal: ended.signal,
      news: () => news.signal,
      onLook: (unready) => looks.push(unready?.reason),
      onHopeless: (unready) => hopeless.push(unready),
    },
    { admin, clock },
  );
  t.after(async () => {
    ended.abort();
    await watching;
  });
  /** Lets the time of the next look come, and gives what it saw. */
  const look = async (): Promise<string | undefined> => {
    const before = looks.length;
    if (before > 0) clock.advance(clock.waitingMs[0] ?? 0);
    await waitUntil(() => looks.length > before && clock.waitingMs.length > 0, 'a look');
    return looks.at(-1);
  };
  return { clock, look, looks, asked, hopeless, tell };
}

function lines(stats: Readonly<Record<string, number>>): string {
  return Object.entries(stats)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

describe('the watch over an Envoy', () => {
  it('looks often for the usual time of a start, then seldom, and often again after news', async (t) => {
    const { clock, look, tell } = setUp(t, {});
    const pauses: number[] = [];
    for (let sinceMs = 0; sinceMs < 20_000; sinceMs += pauses.at(-1) ?? 0) {
      await look();
      pauses.push(clock.waitingMs[0] ?? 0);
    }
    assert.ok(pauses.slice(0, 20).every((pauseMs) => pauseMs < 40));
    assert.equal(pauses.at(-1), 2000);
    tell();
    await waitUntil(() => (clock.waitingMs[0] ?? 2000) < 40, 'another look');
  });

  it('asks after news, at once and often, for nothing but whether it serves', async (t) => {
    const said: Said = { stats: { 'server.state': 2 }, ready: 503 };
    const { clock, look, looks, asked, tell } = setUp(t, said);
    await look();
    const before = clock.monotonicMs();
    asked.length = 0;
    tell();
    await waitUntil(() => asked.length === 1, 'a glance');
    for (let count = 2; count < 6; count += 1) {
      await waitUntil(() => clock.waitingMs.length > 0, 'a pause');
      clock.advance(clock.waitingMs[0] ?? 0);
      await waitUntil(() => asked.length === count, 'another glance');
    }
    assert.deepEqual(new Set(asked), new Set(['/ready']));
    assert.ok(clock.monotonicMs() - before < 30);
    assert.equal(looks.length, 1);
    Object.assign(said, { stats: CONFIGURED, ready: 200 });
    assert.equal(await look(), undefined);
  });

  it('looks at everything again when it does not serve soon after news', async (t) => {
    const { clock, look, looks, tell } = setUp(t, { stats: { 'server.state': 2 }, ready: 503 });
    await look();
    const before = clock.monotonicMs();
    tell();
    await waitUntil(() => clock.waitingMs[0] !== undefined && clock.waitingMs[0] < 10, 'a glance');
    while (looks.length === 1) {
      clock.advance(clock.waitingMs[0] ?? 0);
      await waitUntil(() => clock.waitingMs.length > 0 || looks.length > 1, 'a glance or a look');
    }
    assert.ok(clock.monotonicMs() - before < 300);
  });

  it('says what it still waits for, one thing after the other', async (t) => {
    const said: Said = {};
    const { look } = setUp(t, said, [30_001]);
    assert.equal(await look(), 'NoAnswer');
    said.stats = { 'server.state': 2 };
    assert.equal(await look(), 'ControlPlaneUnreachable');
    said.stats = { 'server.state': 2, 'control_plane.connected_state': 1 };
    assert.equal(await look(), 'ConfigurationMissing');
    said.stats = { ...CONFIGURED, 'server.state': 3 };
    assert.equal(await look(), 'Initializing');
    said.stats = { ...CONFIGURED, 'listener_manager.workers_started': 0 };
    assert.equal(await look(), 'WorkersNotStarted');
    said.stats = CONFIGURED;
    assert.equal(await look(), 'ListenersMissing');
    said.listeners = [30_001, 30_002];
    assert.equal(await look(), undefined);
  });

  it('is not content with an Envoy that is live without configuration', async (t) => {
    const { look } = setUp(t, { stats: { 'server.state': 0 } });
    assert.equal(await look(), 'ControlPlaneUnreachable');
  });

  it('looks often at first, then less and less, and rarely once it serves', async (t) => {
    const said: Said = { stats: { 'server.state': 2 } };
    const { look, clock } = setUp(t, said);
    await look();
    const first = clock.waitingMs[0] ?? 0;
    for (let count = 0; count < 60; count += 1) await look();
    assert.ok(first < 30);
    assert.equal(clock.waitingMs[0], 2000);
    said.stats = CONFIGURED;
    await look();
    assert.equal(clock.waitingMs[0], 10_000);
  });

  it('does not mind a control plane that is away once it serves', async (t) => {
    const said: Said = { stats: CONFIGURED, ready: 200 };
    const { look } = setUp(t, said);
    await look();
    said.stats = { 'server.state': 0 };
    assert.equal(await look(), undefined);
  });

  it('gives up one that served and does not answer three times, not before', async (t) => {
    const said: Said = { stats: CONFIGURED, ready: 200 };
    const { look, hopeless } = setUp(t, said);
    await look();
    said.ready = 503;
    assert.equal(await look(), 'NotLive');
    await look();
    said.ready = 200;
    await look();
    delete said.ready;
    await look();
    await look();
    assert.equal(hopeless.length, 0);
    await look();
    assert.equal(hopeless[0]?.reason, 'NoAnswer');
  });

  it('gives up one that never answers, after half a minute', async (t) => {
    const { look, clock, hopeless } = setUp(t, {});
    while (clock.monotonicMs() <= 30_000) {
      assert.equal(hopeless.length, 0);
      await look();
    }
    assert.equal(hopeless.length, 1);
  });

  it('waits for ever for a control plane', async (t) => {
    const { look, clock, hopeless } = setUp(t, { stats: { 'server.state': 2 } });
    while (clock.monotonicMs() < 100_000) await look();
    assert.equal(hopeless.length, 0);
  });
});
