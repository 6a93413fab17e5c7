import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger as log } from '#base/log.ts';
import type { Signer } from '#ca/signer.ts';
import { announceArrivals } from '#controlplane/revocation-list.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

/** An authority whose arrivals the test makes, and a workload that trusts when the test says so. */
function setUp(crlPem: string) {
  const clock = new FakeClock();
  const peers = new TrustPeers(clock);
  const stream = {};
  const key = peers.opened(
    {
      nodeId: 'web-1',
      identity: parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web'),
      namespace: 'shop',
      workloadName: 'web-1',
      certificate: { serial: 'ab', authorityKeyId: undefined, notAfterAt: clock.now() + 60_000 },
    },
    stream,
  );
  let arrive: ((signer: Signer) => Promise<void>) | undefined;
  const announced: Signer[] = [];
  announceArrivals(
    {
      lists: {
        announce: async (signer: Signer) => void announced.push(signer),
        content: { crlPem },
      } as never,
      trust: { peers, version: 'v2' } as never,
    },
    {
      authority: {
        others: {},
        roots: {
          onArrival: (listener: typeof arrive) => {
            arrive = listener;
          },
        },
      } as never,
      clock,
      log,
    },
  );
  const signer = { issuers: [] } as never;
  let isOver = false;
  const begin = () => {
    arrive?.(signer).then(() => {
      isOver = true;
    });
  };
  /** Whether the new authority may sign, once everything that is due has run. */
  const maySign = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return isOver;
  };
  const accept = (version: string) => peers.answered(key, stream, { version, error: undefined });
  return { clock, announced, begin, maySign, accept };
}

test('an authority signs once every connected workload has its list', async () => {
  const { announced, begin, maySign, accept } = setUp('a list');
  accept('v1');
  begin();
  assert.equal(await maySign(), false);
  assert.equal(announced.length, 1);
  accept('v1');
  assert.equal(await maySign(), false);
  accept('v2');
  assert.equal(await maySign(), true);
});

test('who does not answer is not waited for without end', async () => {
  const { clock, begin, maySign } = setUp('a list');
  begin();
  assert.equal(await maySign(), false);
  clock.advance(10_000);
  assert.equal(await maySign(), true);
});

test('where no list is given out nobody is waited for', async () => {
  const { begin, maySign } = setUp('');
  begin();
  assert.equal(await maySign(), true);
});
