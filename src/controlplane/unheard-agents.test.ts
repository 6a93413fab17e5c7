import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { IssuanceRecord } from '#ca/journal/journal.ts';
import { UnheardAgents } from '#controlplane/unheard-agents.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import type { TrustPeer } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

const idOf = (name: string) => parseSpiffeId(`spiffe://cluster.local/ns/shop/sa/${name}`);

function record(name: string, serial: string, more: Partial<IssuanceRecord> = {}): IssuanceRecord {
  return {
    serial,
    identity: idOf(name),
    notBeforeAt: 0,
    notAfterAt: Number.MAX_SAFE_INTEGER,
    issuedAt: 0,
    issuerKeyId: 'root',
    method: 'service-account-token',
    proof: 'token',
    caller: '127.0.0.1',
    isAgent: true,
    ...more,
  };
}

function peer(name: string, serial: string): TrustPeer {
  return {
    nodeId: name,
    identity: idOf(name),
    namespace: 'shop',
    workloadName: name,
    certificate: { serial, authorityKeyId: 'root', notAfterAt: 1 },
    isConnected: true,
    accepted: undefined,
    refusal: undefined,
  };
}

/** A server that has just started; its journal has these records, the latest first. */
async function started(...records: readonly IssuanceRecord[]) {
  const clock = new FakeClock();
  await clock.advance(1000);
  const unheard = new UnheardAgents({ journal: { each: () => records }, clock });
  await unheard.start();
  const names = (...peers: readonly TrustPeer[]) =>
    unheard.among({ peers, proxies: [] }).map(({ name }) => name);
  return { clock, unheard, names };
}

it('an agent with a certificate counts as missing until it is back', async () => {
  const { names, unheard } = await started(record('web', 'b'), record('db', 'a'));
  assert.deepEqual(names(), ['web.shop', 'db.shop']);
  assert.deepEqual(names(peer('web', 'b')), ['db.shop']);
  assert.deepEqual(names(peer('web', 'b'), peer('db', 'a')), []);
  const [one] = unheard.among({ peers: [], proxies: [] });
  assert.match(one?.reason ?? '', /not heard since the start; waiting until \d{4}-/);
});

it('it counts no longer than the wait, however it is', async () => {
  const { clock, names } = await started(record('web', 'a'));
  await clock.advance(LIMITS.agentsAwaitedMs - 1);
  assert.deepEqual(names(), ['web.shop']);
  await clock.advance(1);
  assert.deepEqual(names(), []);
});

it('whoever is here with an earlier certificate of the identity does not speak for another', async () => {
  const { names } = await started(record('web', 'second'), record('web', 'first'));
  assert.deepEqual(names(peer('web', 'first')), ['web.shop']);
  assert.deepEqual(names(peer('web', 'second')), []);
  assert.deepEqual(names(peer('web', 'renewed-since')), []);
});

it('an agent is back under any name of the trust domain', async () => {
  const old = parseSpiffeId('spiffe://old.test/ns/shop/sa/web');
  const { names } = await started(record('web', 'new'), record('web', 'old', { identity: old }));
  assert.deepEqual(names(), ['web.shop']);
  assert.deepEqual(names(peer('web', 'new')), []);
  assert.deepEqual(names({ ...peer('web', 'old'), identity: old }), ['web.shop']);
});

it('a proxy without a word of its agent counts for itself', async () => {
  const { unheard } = await started(record('web', 'a'));
  const proxies = [{ nodeId: 'n', identity: idOf('web'), namespace: 'shop', workloadName: 'web' }];
  assert.deepEqual(unheard.among({ peers: [], proxies }), []);
});

it('nobody waits for clients that are no agents, for the server itself, or for news', async () => {
  const { names } = await started(
    record('new', 'd', { issuedAt: Number.MAX_SAFE_INTEGER }),
    record('plain', 'a', { isAgent: false }),
    record('own', 'b', { method: 'control-plane' }),
  );
  assert.deepEqual(names(), []);
});

it('whoever wrote its record before it was kept who asks is waited for', async () => {
  const { isAgent: _, ...old } = record('web', 'a');
  const { names } = await started(old);
  assert.deepEqual(names(), ['web.shop']);
});
