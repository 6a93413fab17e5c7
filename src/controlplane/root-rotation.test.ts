import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ClientChange } from '#apiserver/resource-context.ts';
import { recordOfChange } from '#audit/object-change.ts';
import { BulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { RootState, RotationStep } from '#ca/roots/root-states.ts';
import { RootRotation } from '#controlplane/root-rotation.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';

/** A rotation whose steps are taken as soon as it is on the disk who is here. */
function rotationWith(remember: () => Promise<void>) {
  const clock = new FakeClock();
  const taken: RotationStep[] = [];
  const changes: ClientChange[] = [];
  const { certificate } = makeAuthority();
  const roots: { state: RootState; certificate: typeof certificate }[] = [
    { state: 'active', certificate },
  ];
  const rotation = new RootRotation({
    roots: {
      roots,
      signer: undefined as never,
      bundlePem: '' as never,
      onChange: () => {},
      step: async (step) => {
        if (step !== 'prepare') throw new BulwarkError('CA_ROTATION_REFUSED', 'not now');
        taken.push(step);
        roots.push({ state: 'prepared', certificate: makeAuthority().certificate });
      },
    },
    peers: new TrustPeers(clock),
    unheard: { among: () => [], until: '' },
    version: () => '',
    remember,
    sites: () => [],
    proxies: () => [],
    bundleIsKnownAt: () => 0,
    onChange: (change) => void changes.push(change),
    clock,
    log: silentLogger,
  });
  return { rotation, taken, changes };
}

it('takes no step of a rotation before it is on the disk who is here', async () => {
  const remembered = Promise.withResolvers<void>();
  const { rotation, taken } = rotationWith(() => remembered.promise);
  const acting = rotation.act({ step: 'prepare', leaveBehind: [] });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(taken, []);
  remembered.resolve();
  assert.equal((await acting).code, 200);
  assert.deepEqual(taken, ['prepare']);
});

it('tells of each step who took it and what it changed, and nothing of a refusal', async () => {
  const { rotation, changes } = rotationWith(async () => {});
  const ann = { username: 'ann', groups: ['ops'] };
  assert.equal((await rotation.act({ step: 'revoke', leaveBehind: [] }, ann)).code, 409);
  assert.deepEqual(changes, []);
  await rotation.act({ step: 'prepare', leaveBehind: ['web.shop'] }, ann);
  const [told] = changes.map((change) => recordOfChange(change, 0));
  assert.equal(`${told?.user} ${told?.verb} ${told?.kind}`, 'ann update RootRotation');
  const fields = told?.fields.map(({ field }) => field);
  assert.deepEqual(fields, ['roots[1]', 'leaveBehind']);
  assert.match(told?.fields[0]?.after ?? '', /"state":"prepared"/);
});

it('takes steps by itself under a name that no user can have', async () => {
  const { rotation, changes } = rotationWith(async () => {});
  await rotation.act({ step: 'prepare', leaveBehind: [] });
  assert.match(changes[0]?.caller.username ?? '', /^system:/);
});
