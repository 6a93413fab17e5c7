import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { systemClock } from '#base/clock.ts';
import { type AppliedObject, awaitEnforced } from '#cli/enforcement/await-enforced.ts';
import type { KubeClient, WatchEvent } from '#kubeclient/kube-client.ts';

// Proves when a wait for enforcement ends, and what is told on the way.

function policy(generation: number, condition?: object): ApiObject {
  const conditions = condition ? [{ type: 'Reconciled', ...condition }] : [];
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'ns', generation, resourceVersion: '7' },
    status: { conditions },
  } as ApiObject;
}
const said = (status: string, reason: string, observedGeneration = 2) => ({
  status,
  reason,
  message: reason,
  observedGeneration,
});

/** Waits for an object about which a watch tells these things; each watch ends after its events. */
async function waited(
  applied: ApiObject,
  watches: readonly (readonly ApiObject[])[],
  { later = applied, timeoutMs = 50 } = {},
) {
  const told: string[] = [];
  const paths: string[] = [];
  const left = [...watches];
  const client = {
    watch: (path: string, onEvent: (event: WatchEvent) => void, signal: AbortSignal) => {
      paths.push(path);
      const events = left.shift();
      for (const object of events ?? []) onEvent({ type: 'MODIFIED', object });
      if (events && !signal.aborted) return Promise.resolve();
      return new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve());
      });
    },
    expect: async ({ path }: { readonly path: string }) =>
      path.includes('limit') ? { metadata: { resourceVersion: '9' } } : later,
  };
  const one: AppliedObject = {
    paths: { collection: '/ps', object: '/ps/p', shown: 'p' },
    object: applied,
    changedMs: undefined,
  };
  const states = await awaitEnforced(client as unknown as KubeClient, [one], {
    timeoutMs,
    signal: new AbortController().signal,
    clock: systemClock,
    report: (_, { state }) => told.push(state),
  });
  return { told, paths, left: states.map(({ standing }) => standing.state) };
}

test('it ends when the object is enforced, and says so', async () => {
  const events = [policy(2, said('False', 'Waiting')), policy(2, said('True', 'Enforced'))];
  const { told, left, paths } = await waited(policy(2), [events]);
  assert.deepEqual(told, ['untold', 'behind', 'enforced']);
  assert.deepEqual(left, []);
  assert.deepEqual(paths, ['/ps?resourceVersion=7']);
});

test('what was said of an earlier generation does not count', async () => {
  const before = policy(2, said('True', 'Enforced', 1));
  const { told, left } = await waited(before, [[before]]);
  assert.deepEqual(told, ['untold']);
  assert.deepEqual(left, ['untold']);
});

test('a refusal ends it before the time is over', async () => {
  const events = [policy(2, said('False', 'Refused'))];
  const { left } = await waited(policy(2), [events], { timeoutMs: 3_600_000 });
  assert.deepEqual(left, ['refused']);
});

test('it ends where nobody is to enforce the object', async () => {
  const { left, told } = await waited(policy(2), [[policy(2, said('Unknown', 'NoProxies'))]]);
  assert.deepEqual([left, told], [[], ['untold', 'nobody']]);
});

test('after the time it tells how far it is', async () => {
  const later = policy(2, said('False', 'Waiting'));
  const { left } = await waited(policy(2), [[later]], { later });
  assert.deepEqual(left, ['behind']);
});

test('a watch that the server ends is taken up again, without missing what came between', async () => {
  const later = policy(2, said('True', 'Enforced'));
  const { left, told } = await waited(policy(2), [[]], { later });
  assert.deepEqual([left, told], [[], ['untold', 'enforced']]);
});
