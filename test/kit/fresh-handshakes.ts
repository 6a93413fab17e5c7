import type { TestContext } from 'node:test';
import { KeepAliveClient } from './keep-alive-client.ts';

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
