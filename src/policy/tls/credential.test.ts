import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Secret } from '#api/kinds/secret.ts';
import { readableCredentials } from '#policy/tls/credential.ts';

it('an account reads the Secrets of its own namespace that it has a right to, and no other', () => {
  const secret = {} as Secret;
  const { secrets } = readableCredentials(
    {
      secrets: { get: () => secret },
      configMaps: { get: () => undefined },
      secretReaders: { mayRead: (_, name) => name === 'given' },
    },
    { namespace: 'edge', serviceAccount: 'gate' },
  );
  assert.equal(secrets.get('edge', 'given'), secret);
  assert.equal(secrets.get('edge', 'other'), undefined);
  assert.equal(secrets.get('shop', 'given'), undefined);
});
