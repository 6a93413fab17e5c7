import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ClientChange } from '#apiserver/resource-context.ts';
import { recordOfChange } from '#audit/object-change.ts';
import { BulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { RootState, RotationStep } from '#ca/roots/root-states.ts';
import type { Site } from '#ca/sites/sites.ts';
import { RootRotation } from '#controlplane/root-rotation.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';

/** Who else has to be ready. */
interface Others {
  readonly sites?: readonly Site[];
  /** For how long other trust domains may not know the new root yet, in milliseconds. */
  readonly bundleIsKnownMs?: number;
}

/** A rotation whose steps are taken as soon as it is on the disk who is here. */
function rotationWith(remember: () => Promise<void>, others: Others = {}) {
  const clock = new FakeClock();
  const startAt = clock.now();
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
        if (step === 'prepare')
          roots.push({ state: 'prepared', certificate: makeAuthority().certificate });
        else if (step !== 'activate') throw new BulwarkError('CA_ROTATION_REFUSED', 'not now');
        taken.push(step);
      },
    },
    peers: new TrustPeers(clock),
    unheard: { among: () => [], until: '' },
    version: () => '',
    remember,
    sites: () => others.sites ?? [],
    proxies: () => [],
    bundleIsKnownAt: () => startAt + (others.bundleIsKnownMs ?? 0),
    onChange: (change) => void changes.push(change),
    clock,
    log: silentLogger,
  });
  return { rotation, taken, changes, clock };
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

const prepared = async (others: Others) => {
  const made = rotationWith(async () => {}, others);
  assert.equal((await made.rotation.act({ step: 'prepare', leaveBehind: [] })).code, 200);
  const activate = (...leaveBehind: string[]) =>
    made.rotation.act({ step: 'activate', leaveBehind });
  return { ...made, activate };
};

it('does not let the new root sign before the servers below trust it', async () => {
  const identity = parseSpiffeId('spiffe://cluster.local/ns/site/sa/below');
  const site: Site = { identity, notAfterAt: 0, report: undefined };
  const { activate, taken } = await prepared({ sites: [site] });
  const { code, body } = await activate();
  assert.equal(code, 409);
  assert.match(JSON.stringify(body), /below\.site.*has not said yet/);
  assert.deepEqual(taken, ['prepare']);
  assert.equal((await activate('below.site')).code, 200);
});

it('does not let the new root sign before other trust domains can have fetched it', async () => {
  const { activate, taken, clock } = await prepared({ bundleIsKnownMs: 300_000 });
  const { code, body } = await activate();
  assert.equal(code, 409);
  assert.match(JSON.stringify(body), /federated-meshes.*\d+ s more/);
  assert.deepEqual(taken, ['prepare']);
  clock.advance(300_000);
  assert.equal((await activate()).code, 200);
});
