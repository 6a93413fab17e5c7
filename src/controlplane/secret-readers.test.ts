import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepSecretReaders } from '#controlplane/secret-readers.ts';
import type { SecretReaders } from '#model/secret-readers.ts';

const GATE = { namespace: 'edge', serviceAccount: 'gate' };

/** A model that is kept told, and rights that can be given and taken. */
function kept() {
  const readable = new Set<string>();
  let tell = (): void => {};
  const given: SecretReaders[] = [];
  let changes = 0;
  keepSecretReaders(
    {
      mayRead: ({ namespace, serviceAccount }, secret) =>
        readable.has(`${namespace}/${serviceAccount}/${secret}`),
      onChange: (listener) => {
        tell = listener;
      },
    },
    { useSecretReaders: (readers) => given.push(readers) },
    () => {
      changes += 1;
    },
  );
  const change = (...secrets: readonly string[]): void => {
    readable.clear();
    for (const secret of secrets) readable.add(`edge/gate/${secret}`);
    tell();
  };
  return { given, change, changes: () => changes };
}

test('a change of rights that somebody asked for is another state of the mesh', () => {
  const { given, change, changes } = kept();
  assert.equal(given[0]?.mayRead(GATE, 'cert'), false);
  change('cert');
  assert.deepEqual([given.length, changes()], [2, 1]);
  assert.equal(given[1]?.mayRead(GATE, 'cert'), true);
  change();
  assert.equal(given[2]?.mayRead(GATE, 'cert'), false);
});

test('what a state of the mesh said, it goes on to say', () => {
  const { given, change } = kept();
  assert.equal(given[0]?.mayRead(GATE, 'cert'), false);
  change('cert');
  assert.equal(given[0]?.mayRead(GATE, 'cert'), false);
});

test('a change of rights that nobody asked for makes no work', () => {
  const { given, change, changes } = kept();
  assert.equal(given[0]?.mayRead(GATE, 'cert'), false);
  change('other');
  assert.deepEqual([given.length, changes()], [1, 0]);
  assert.equal(given[0]?.mayRead(GATE, 'other'), true);
});
