import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

const introduced = (trustDomain: string, serial = '1') => ({
  nodeId: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  identity: parseSpiffeId(`spiffe://${trustDomain}/ns/shop/sa/web`),
  namespace: 'shop',
  workloadName: 'web',
  certificate: { serial, authorityKeyId: 'root', notAfterAt: 3_600_000 },
});

function renames() {
  const peers = new TrustPeers(new FakeClock(0));
  const seen: string[] = [];
  peers.onRenamed(({ identity }) => seen.push(identity));
  return { peers, seen };
}

describe('a workload whose trust domain changes', () => {
  it('stays one workload, and those who wait for it hear of it once', () => {
    const { peers, seen } = renames();
    peers.opened(introduced('old.test'), 'first');
    peers.opened(introduced('new.test', '2'), 'second');
    peers.opened(introduced('new.test', '3'), 'third');
    assert.deepEqual(seen, ['spiffe://new.test/ns/shop/sa/web']);
    assert.equal(peers.all().length, 1);
    assert.equal(peers.identityOf(introduced('old.test')), 'spiffe://new.test/ns/shop/sa/web');
  });

  it('is another one under another account, name or while it is away', () => {
    const { peers, seen } = renames();
    const key = peers.opened(introduced('old.test'), 'first');
    const other = { ...introduced('new.test'), nodeId: 'sidecar~10.0.0.1~api.shop~x' };
    peers.opened(other, 'other');
    const identity = parseSpiffeId('spiffe://new.test/ns/shop/sa/api');
    peers.opened({ ...introduced('new.test'), identity }, 'account');
    assert.deepEqual(seen, []);
    assert.equal(peers.all().length, 3);
    peers.closed(key, 'first', { isFarewell: false });
    assert.equal(peers.identityOf(introduced('new.test')), undefined);
  });
});

describe('a workload that calls itself by many names', () => {
  const named = (name: string, serial: string) => ({
    ...introduced('old.test', serial),
    nodeId: `sidecar~10.0.0.1~${name}.shop~shop.svc.cluster.local`,
  });
  const left = { isFarewell: false };

  it('is one of those that are away, for each of its certificates', () => {
    const peers = new TrustPeers(new FakeClock(0));
    const names = Array.from({ length: 100 }, (_, index) => `web-${index}`);
    for (const name of names) peers.closed(peers.opened(named(name, '1'), name), name, left);
    const keys = names.map((name) => peers.opened(named(name, '2'), name));
    assert.equal(peers.all().length, 100);
    for (const [index, key] of keys.entries()) peers.closed(key, `web-${index}`, left);
    assert.deepEqual(
      peers.all().map(({ nodeId, isConnected }) => [nodeId, isConnected]),
      [[named('web-99', '2').nodeId, false]],
    );
  });

  it('does not push out those with certificates of their own', () => {
    const peers = new TrustPeers(new FakeClock(0));
    const away = peers.opened(named('api', '1'), 'api');
    peers.closed(away, 'api', left);
    peers.opened(named('web', '2'), 'web');
    peers.restore([named('job', '3')]);
    assert.equal(peers.all().length, 3);
    peers.opened(named('api', '4'), 'again');
    peers.opened(named('other', '1'), 'other');
    assert.equal(peers.all().length, 4);
  });
});

it('what a workload trusts is what its latest stream says, whatever comes on an older one', () => {
  const { peers } = renames();
  const key = peers.opened(introduced('old.test'), 'older');
  peers.opened(introduced('old.test'), 'latest');
  peers.answered(key, 'older', { version: 'v1', error: undefined });
  peers.closed(key, 'older', { isFarewell: false });
  const [peer] = peers.all();
  assert.deepEqual([peer?.accepted, peer?.isConnected], [undefined, true]);
  peers.closed(key, 'older', { isFarewell: true });
  assert.equal(peers.all().length, 1);
  peers.answered(key, 'latest', { version: 'v2', error: undefined });
  assert.equal(peers.all()[0]?.accepted, 'v2');
});
