// A policy is added, changed and deleted under load on open connections: each request is decided by
// the policies from before or by those from after, and soon by those from after.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ChangingPolicy, REQUEST_KINDS, type RequestKind } from '../kit/changing-policy.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CHANGES = 8;

type Caller = ReturnType<ChangingPolicy['caller']>;

/** Asks for one path as often as it can, until it is stopped; gives what was allowed of it. */
function startLoop(ask: Caller, path: string): () => Promise<ReadonlySet<boolean>> {
  const seen = new Set<boolean>();
  let isStopped = false;
  const running = (async () => {
    while (!isStopped) seen.add(await ask(path));
  })();
  return async () => {
    isStopped = true;
    await running;
    return seen;
  };
}

/** Waits until a path is allowed, or not, and sees that it stays so. */
async function becomes(ask: Caller, path: string, isAllowed: boolean): Promise<void> {
  await waitUntil(async () => (await ask(path)) === isAllowed, `${path}: ${isAllowed}`, {
    everyMs: 0,
  });
  for (let again = 0; again < 3; again += 1) assert.equal(await ask(path), isAllowed, path);
}

async function changeUnderLoad(policy: ChangingPolicy, kinds: readonly RequestKind[]) {
  const loops = kinds.flatMap((kind) => [
    { kind, allowed: true, stop: startLoop(policy.caller(kind), `/${kind}/open`) },
    { kind, allowed: false, stop: startLoop(policy.caller(kind), `/${kind}/never`) },
  ]);
  const callers = kinds.map((kind) => policy.caller(kind));
  for (let change = 0; change < CHANGES; change += 1) {
    const isNew = change % 2 === 0;
    await (isNew ? policy.new() : policy.old());
    for (const [at, kind] of kinds.entries()) {
      const ask = callers[at] ?? assert.fail();
      await becomes(ask, `/${kind}/new`, isNew);
      await becomes(ask, `/${kind}/old`, !isNew);
    }
  }
  for (const { kind, allowed, stop } of loops)
    assert.deepEqual(await stop(), new Set([allowed]), `${kind}, ${allowed}`);
}

test('a policy that changes under load', { timeout: 240_000 }, async (t: TestContext) => {
  const policy = await ChangingPolicy.start(t);

  await t.test('a new policy counts on open connections, and so does its end', async () => {
    for (const kind of REQUEST_KINDS) {
      const ask = policy.caller(kind);
      assert.equal(await ask(`/${kind}/never`), true);
      await policy.old();
      await becomes(ask, `/${kind}/never`, false);
      await policy.remove();
      await becomes(ask, `/${kind}/never`, true);
    }
  });

  await t.test('no request is decided by a mixture of old and new', async () => {
    await policy.old();
    for (const kind of REQUEST_KINDS) await becomes(policy.caller(kind), `/${kind}/never`, false);
    await changeUnderLoad(policy, REQUEST_KINDS);
  });

  await t.test('a TCP connection that is not allowed any more is cut, silent or not', async () => {
    await policy.old();
    const silent = await waitUntil(() => policy.tcp(), 'a connection that is allowed');
    const talking = await waitUntil(() => policy.tcp(), 'another one');
    for (const socket of [silent, talking]) socket.resume();
    const talk = setInterval(() => talking.write('on'), 5);
    t.after(() => clearInterval(talk));
    await policy.withoutTcp();
    await waitUntil(() => silent.closed && talking.closed, 'both are cut');
    await waitUntil(async () => (await policy.tcp()) === undefined, 'new ones are refused');
  });

  await t.test('who comes back all the time is not let in by the old policy for good', async () => {
    await policy.remove();
    await waitUntil(() => policy.tcp(), 'a connection that is allowed');
    const came: Socket[] = [];
    let isOver = false;
    const coming = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const socket = await policy.tcp();
        if (socket) came.push(socket.resume());
      }
    });
    t.after(() => {
      isOver = true;
    });
    await waitUntil(() => came.length > 0, 'somebody came');
    await policy.withoutTcp();
    await waitUntil(() => came.every((one) => one.closed), 'all are cut');
    await waitUntil(async () => (await policy.tcp()) === undefined, 'new ones are refused');
    isOver = true;
    await Promise.all(coming);
    await waitUntil(() => came.every((one) => one.closed), 'nobody is left');
  });

  await t.test('connections to a port of which nothing new is said go on', async () => {
    await policy.remove();
    const socket = await waitUntil(() => policy.tcp(), 'a connection that is allowed');
    const other = await waitUntil(() => policy.tcp('tcp-other'), 'one to another port');
    socket.resume();
    await policy.withoutTcp();
    await waitUntil(() => socket.closed, 'the one is cut');
    other.write('still there');
    assert.match(String(await once(other, 'data')), /still there/);
    other.destroy();
  });

  await t.test('a revocation ends open TCP connections, which may be of that peer', async () => {
    const socket = await waitUntil(() => policy.tcp('tcp-other'), 'a connection');
    socket.resume();
    await policy.revoke();
    await waitUntil(() => socket.closed, 'it is cut');
    await waitUntil(() => policy.tcp('tcp-other'), 'everybody else may come back');
  });
});
