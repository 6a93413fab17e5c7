// Which namespaces get Secrets for their accounts, and that many accounts are no trouble.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  accountObject,
  CA_NAMESPACE,
  coreObject,
  setUpAccountSecrets,
} from '../../test/kit/account-secrets.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

describe('namespaces', () => {
  it('are on or off by setting and by the labels of Citadel', async (t) => {
    for (const [enabledByDefault, labels, isManaged] of [
      [true, {}, true],
      [false, {}, false],
      [false, { 'ca.istio.io/override': 'true' }, true],
      [true, { 'ca.istio.io/override': 'false' }, false],
      [true, { 'ca.istio.io/override': 'nonsense' }, true],
      [false, { 'ca.istio.io/env': CA_NAMESPACE }, true],
      [true, { 'ca.istio.io/env': 'istio-system' }, false],
      [true, { 'ca.istio.io/override': 'false', 'ca.istio.io/env': CA_NAMESPACE }, false],
    ] as const) {
      const world = await setUpAccountSecrets(t, { enabledByDefault });
      await world.store.create(coreObject('Namespace', { name: 'it', labels }));
      await world.store.create(
        coreObject('Namespace', { name: 'on', labels: { 'ca.istio.io/override': 'true' } }),
      );
      await world.store.create(accountObject('a', 'it'));
      await world.store.create(accountObject('z', 'on'));
      await world.start();
      await waitUntil(() => world.read('z', 'on'), 'the last one is written');
      const found = (await world.read('a', 'it')) !== undefined;
      assert.equal(found, isManaged, JSON.stringify({ enabledByDefault, labels }));
    }
  });

  it('that are turned on get Secrets, and lose ours, not those of others, when turned off', async (t) => {
    const world = await setUpAccountSecrets(t, { enabledByDefault: false });
    const name = { name: 'photo-ns' };
    const foreign = coreObject(
      'Secret',
      { name: 'istio.theirs', namespace: 'photo-ns' },
      { type: 'istio.io/key-and-cert', data: {} },
    );
    await world.store.create(foreign);
    await world.store.create(accountObject('a'));
    await world.start();
    const label = (value: string) =>
      world.store.update(
        coreObject('Namespace', { ...name, labels: { 'ca.istio.io/override': value } }),
      );
    await label('true');
    await world.written('a');
    await label('false');
    await world.gone('a');
    assert.ok(await world.read('theirs'));
  });
});

it('thousands of accounts do not hold up the thread', async (t) => {
  const world = await setUpAccountSecrets(t);
  const names = Array.from({ length: 2000 }, (_, index) => `account-${index}`);
  await Promise.all(names.map((name) => world.store.create(accountObject(name))));
  let written = 0;
  const watch = world.store.watch(
    { kinds: ['secrets'] },
    {
      onEvent: () => {
        written += 1;
      },
      onError: (error) => assert.fail(error),
    },
  );
  t.after(() => watch.close());
  await world.start();
  let turns = 0;
  while (written < names.length) {
    turns += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(turns > 100, `others had ${turns} turns meanwhile`);
});
