import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createLogger } from '#base/log.ts';
import { TrustMemory } from '#controlplane/trust-memory.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const NOW = Date.UTC(2026, 0);
const PEER = {
  nodeId: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  identity: parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web'),
  namespace: 'shop',
  workloadName: 'web',
  certificate: { serial: '1', authorityKeyId: 'root', notAfterAt: NOW + 3_600_000 },
};

/** A server's memory of who is out there, on a file that outlives it. */
async function open(t: TestContext, path: string, now = NOW) {
  const clock = new FakeClock(now);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const peers = new TrustPeers(clock);
  const memory = new TrustMemory(path, { peers, clock, log });
  t.after(() => memory.close());
  await memory.start();
  return { clock, peers, memory, lines };
}

describe('the memory of who is out there', () => {
  it('outlives the server: who was connected is away until it is back', async (t) => {
    const path = join(temporaryDirectory(t), 'peers.json');
    const before = await open(t, path);
    before.peers.opened(PEER, 'stream');
    await before.memory.close();
    const after = await open(t, path);
    const [peer] = after.peers.all();
    assert.deepEqual(peer, {
      ...PEER,
      isConnected: false,
      accepted: undefined,
      refusal: undefined,
    });
    after.peers.opened(PEER, 'another');
    assert.equal(after.peers.all().length, 1);
    assert.ok(after.peers.all()[0]?.isConnected);
  });

  it('is written soon after a change, without a close, so that a kill loses little', async (t) => {
    const path = join(temporaryDirectory(t), 'peers.json');
    const killed = await open(t, path);
    killed.peers.opened(PEER, 'stream');
    killed.clock.advance(1000);
    await waitUntil(async () => (await open(t, path)).peers.all().length === 1, 'the file');
  });

  it('is on the disk when a step of the rotation was told so', async (t) => {
    const path = join(temporaryDirectory(t), 'peers.json');
    const killed = await open(t, path);
    killed.peers.opened(PEER, 'stream');
    await killed.memory.flush();
    assert.equal((await open(t, path)).peers.all().length, 1);
    await killed.memory.flush();
    const certificate = { ...PEER.certificate, serial: '2' };
    killed.peers.opened({ ...PEER, nodeId: 'another', certificate }, 'second');
    await killed.memory.flush();
    assert.equal((await open(t, path)).peers.all().length, 2);
  });

  it('does not keep whose certificate has expired, nor who said farewell', async (t) => {
    const path = join(temporaryDirectory(t), 'peers.json');
    const before = await open(t, path);
    const other = { ...PEER, nodeId: PEER.nodeId.replace('web', 'gone') };
    before.peers.opened(PEER, 'stream');
    const key = before.peers.opened(other, 'leaving');
    before.peers.closed(key, 'leaving', { isFarewell: true });
    await before.memory.close();
    assert.equal((await open(t, path)).peers.all().length, 1);
    const { peers, clock } = await open(t, path, NOW + 7_200_000);
    assert.equal(peers.all().length, 1, 'it may be about to come back for another one');
    clock.advance(61_000);
    assert.deepEqual(peers.all(), []);
  });

  it('starts without the file when that is damaged, and says so', async (t) => {
    const path = join(temporaryDirectory(t), 'peers.json');
    for (const text of ['{', '{}', '[{}]', '[{"identity":"x","nodeId":"y"}]', '7']) {
      writeFileSync(path, text, { mode: 0o600 });
      const { peers, lines } = await open(t, path);
      assert.deepEqual(peers.all(), []);
      assert.equal(lines.filter((line) => line.includes('not known')).length, 1, text);
    }
  });
});
