import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { findUnready, type Unready } from '#agent/envoy/readiness.ts';
import { type Clock, delay } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';

/** How one run of Envoy is watched. */
export interface WatchOptions {
  /** Ports that must be open before it counts as ready. */
  readonly compulsoryPorts: readonly number[];
  /** Aborts when Envoy ended, or is about to. */
  readonly signal: AbortSignal;
  /** Gives a signal that aborts when there is a reason to look sooner; asked before each wait. */
  readonly news?: () => AbortSignal;
  /** Called after each look: why it does not serve, or undefined when it does. */
  readonly onLook: (unready: Unready | undefined) => void;
  /** Called when it should be ended and started anew. */
  readonly onHopeless: (unready: Unready) => void;
}

export interface WatchDeps {
  readonly admin: EnvoyAdmin;
  readonly clock: Clock;
}

/**
 * Between looks at an Envoy that starts: quick while a start takes its usual time, since a late
 * look makes it longer, then slower, for as long as it takes.
 */
const START_LOOK_MS = { min: 20, usual: 35, max: 2000, growth: 1.3 };
/**
 * Between glances right after news, when it may serve at any moment: these grow to the usual time.
 */
const GLANCE_MS = { min: 4, growth: 1.2 };
/** The usual time of a start, also from the certificate on. */
const USUAL_START_MS = 1000;
/** Between looks at one that serves. */
const HEALTH_LOOK_MS = 10_000;
/** Failed looks in a row at one that served, after which it is hopeless. */
const FAILED_LOOKS_MAX = 3;
/** Without any answer for so long after the start it is hopeless. */
const START_ANSWER_MS_MAX = 30_000;
/** No answer on the admin socket. */
const SILENT = 'NoAnswer';

/**
 * Looks at a running Envoy until the signal aborts. Before it serves, what it needs from the
 * control plane counts; once it served, only Envoy itself: traffic goes on without a control plane.
 */
export async function watchEnvoy(options: WatchOptions, deps: WatchDeps): Promise<void> {
  const { signal, onLook, onHopeless } = options;
  const { clock } = deps;
  const startedAtMs = clock.monotonicMs();
  let hasServed = false;
  let failedLooks = 0;
  let lookMs = START_LOOK_MS.min;
  let slowAtMs = startedAtMs + USUAL_START_MS;
  let isGlance = false;
  while (!signal.aborted) {
    if (!isGlance || (await isLive(deps.admin))) {
      const unready = await look(options, deps, hasServed);
      if (signal.aborted) return;
      onLook(unready);
      hasServed ||= unready === undefined;
      failedLooks = unready === undefined || !hasServed ? 0 : failedLooks + 1;
      const isMute =
        unready?.reason === SILENT &&
        !hasServed &&
        clock.monotonicMs() - startedAtMs > START_ANSWER_MS_MAX;
      if (unready && (isMute || failedLooks >= FAILED_LOOKS_MAX)) onHopeless(unready);
    }
    const { usual, max } = START_LOOK_MS;
    const mostMs = clock.monotonicMs() < slowAtMs ? usual : max;
    const { growth } = isGlance ? GLANCE_MS : START_LOOK_MS;
    lookMs = hasServed ? HEALTH_LOOK_MS : Math.min(mostMs, lookMs * growth);
    isGlance &&= lookMs < usual;
    const news = hasServed ? undefined : options.news?.();
    await delay(clock, lookMs, news ? AbortSignal.any([signal, news]) : signal);
    if (!news?.aborted) continue;
    isGlance = true;
    lookMs = GLANCE_MS.min;
    slowAtMs = clock.monotonicMs() + USUAL_START_MS;
  }
}

/** Whether it says that it serves: all that Envoy needs for this answer is at hand. */
async function isLive(admin: EnvoyAdmin): Promise<boolean> {
  try {
    return (await admin.get('/ready')).status === 200;
  } catch {
    return false;
  }
}

async function look(
  { compulsoryPorts }: WatchOptions,
  { admin }: WatchDeps,
  hasServed: boolean,
): Promise<Unready | undefined> {
  try {
    if (!hasServed) return await findUnready(admin, compulsoryPorts);
    const { status } = await admin.get('/ready');
    return status === 200 ? undefined : { reason: 'NotLive', message: `Envoy answers ${status}` };
  } catch (error) {
    return { reason: SILENT, message: describeError(error) };
  }
}
