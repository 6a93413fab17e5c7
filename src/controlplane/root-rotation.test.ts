import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLogger } from '#base/log.ts';
import type { RotationStep } from '#ca/roots/root-states.ts';
import { RootRotation } from '#controlplane/root-rotation.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';

it('takes no step of a rotation before it is on the disk who is here', async () => {
  const clock = new FakeClock();
  const remembered = Promise.withResolvers<void>();
  const taken: RotationStep[] = [];
  const { certificate } = makeAuthority();
  const rotation = new RootRotation({
    roots: {
      roots: [{ state: 'active', certificate }],
      signer: undefined as never,
      bundlePem: '' as never,
      onChange: () => {},
      step: async (step) => void taken.push(step),
    },
    peers: new TrustPeers(clock),
    unheard: { among: () => [], until: '' },
    version: () => '',
    remember: () => remembered.promise,
    sites: () => [],
    proxies: () => [],
    bundleIsKnownAt: () => 0,
    clock,
    log: silentLogger,
  });
  const acting = rotation.act({ step: 'prepare', leaveBehind: [] });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(taken, []);
  remembered.resolve();
  assert.equal((await acting).code, 200);
  assert.deepEqual(taken, ['prepare']);
});
