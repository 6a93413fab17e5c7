import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import type { EnvoyProcess } from '#agent/envoy/envoy-process.ts';
import { parseStats } from '#agent/envoy/readiness.ts';
import { type Clock, delay } from '#base/clock.ts';

export interface DrainDeps {
  readonly admin: EnvoyAdmin;
  readonly clock: Clock;
}

/** Between looks at open connections. */
const LOOK_MS = 100;
/** From SIGTERM to SIGKILL. */
const TERMINATE_MS_MAX = 5000;

/**
 * Has Envoy tell everybody to go elsewhere: answers say so, and after its drain time the listeners
 * close.
 * @param which `inbound` leaves the workload's own calls alone
 * @returns false when Envoy does not answer
 */
export async function beginDrain(admin: EnvoyAdmin, which: 'all' | 'inbound'): Promise<boolean> {
  const path = `/drain_listeners?graceful${which === 'inbound' ? '&inboundonly' : ''}`;
  try {
    return (await admin.post(path)).status === 200;
  } catch {
    return false; // it is about to end by itself
  }
}

/**
 * Waits until nobody is connected any more, but not longer than `drainMs` or until `signal` aborts.
 */
export async function connectionsEnd(
  drainMs: number,
  signal: AbortSignal,
  { admin, clock }: DrainDeps,
): Promise<void> {
  const endMs = clock.monotonicMs() + drainMs;
  while (clock.monotonicMs() < endMs && !signal.aborted) {
    if ((await openConnections(admin)) === 0) return;
    await delay(clock, LOOK_MS, signal);
  }
}

/** Ends a process and waits for it: SIGTERM, then SIGKILL when that does not help. */
export async function terminate(envoy: EnvoyProcess, clock: Clock): Promise<void> {
  envoy.signal('SIGTERM');
  const kill = clock.after(TERMINATE_MS_MAX, () => envoy.signal('SIGKILL'));
  await envoy.exited.catch(() => undefined);
  kill.cancel();
}

/** Connections to the listeners, not counting those to the admin interface; 0 without an answer. */
async function openConnections(admin: EnvoyAdmin): Promise<number> {
  try {
    const { body } = await admin.get('/stats?filter=%5Elistener%5C..*downstream_cx_active%24');
    const counts = [...parseStats(body)].filter(([name]) => !name.startsWith('listener.admin.'));
    return counts.reduce((sum, [, count]) => sum + count, 0);
  } catch {
    return 0;
  }
}
