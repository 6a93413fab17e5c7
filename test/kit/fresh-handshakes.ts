import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { KeepAliveClient } from './keep-alive-client.ts';
import { waitUntil } from './wait-until.ts';

/** Asks on a connection of its own: behind a TCP listener, that is a handshake of its own. */
export async function answersFresh(port: number): Promise<boolean> {
  const client = new KeepAliveClient({ port });
  try {
    return (await client.ask({ target: '/' })).status === 200;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

/**
 * A new handshake again and again; gives how many there were and how many failed, once there were
 * at least as many as `stop` says.
 */
export function startHandshakes(t: Pick<TestContext, 'after'>, port: number) {
  let count = 0;
  let failed = 0;
  let least = Number.POSITIVE_INFINITY;
  const running = (async () => {
    while (count < least) {
      count += 1;
      if (!(await answersFresh(port))) failed += 1;
    }
  })();
  const stop = async (atLeast = 0) => {
    least = atLeast;
    await running;
    return { count, failed };
  };
  t.after(() => stop());
  return { stop };
}

/** How long connections are left alone before that counts as calm, milliseconds. */
const CALM_MS = 1500;

/**
 * Waits until handshakes succeed one after the other: a change of what is revoked ends all open
 * connections of TCP once, when it has reached the server.
 */
export async function calmHandshakes(t: Pick<TestContext, 'after'>, port: number): Promise<void> {
  await waitUntil(async () => {
    const handshakes = startHandshakes(t, port);
    await pause(CALM_MS);
    return (await handshakes.stop(20)).failed === 0;
  }, 'no connection is ended any more');
}
