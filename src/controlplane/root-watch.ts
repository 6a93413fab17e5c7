import type { RootsView } from '#admin/contract.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RootRotation } from '#controlplane/root-rotation.ts';

export interface RootWatchOptions {
  /** Whether steps are taken without being asked for. */
  readonly isAutomatic: boolean;
}

export interface RootWatchDeps {
  readonly rotation: Pick<RootRotation, 'view' | 'act'>;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 60_000;
/** Parts of a root's life after which there is a warning, percent. */
const WARNINGS = [50, 80, 95] as const;
/** The part of its life after which a root is replaced, percent. */
const REPLACED_AT = 80;
const LISTED_MAX = 10;

/**
 * Warns while the life of a root goes by, and replaces it in time: one step at each look, if nobody
 * is left behind by it.
 */
export class RootWatch implements Component {
  readonly name = 'root-watch';
  readonly #options: RootWatchOptions;
  readonly #deps: RootWatchDeps;
  #warnedAt = 0;
  #missingLogged = '';
  #looking: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: RootWatchOptions, deps: RootWatchDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async start(): Promise<void> {
    // Not at once: workloads have to come back first.
    this.#again();
    this.#warn(this.#deps.rotation.view());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      this.#looking = this.#look()
        .catch((error) => this.#deps.log.error('the root could not be replaced', { error }))
        .finally(() => this.#again());
    });
  }

  async #look(): Promise<void> {
    const { rotation, log } = this.#deps;
    const view = rotation.view();
    this.#warn(view);
    // Also when the old root of a rotation that has begun is meant.
    const isDue = view.roots.some(({ usedPercent }) => usedPercent >= REPLACED_AT);
    if (!this.#options.isAutomatic || !isDue) return;
    const { code, body } = await rotation.act({ step: view.next, leaveBehind: [] });
    if (code === 200) {
      log.info('a step to the next root was taken', { step: view.next });
      this.#missingLogged = '';
      return;
    }
    const missing = view.missing.map(({ name }) => name);
    const known = `${view.next} ${missing}`;
    if (known === this.#missingLogged) return;
    this.#missingLogged = known;
    log.warn('the next root has to wait for workloads', {
      step: view.next,
      count: missing.length,
      missing: missing.slice(0, LISTED_MAX),
      refusal: body,
    });
  }

  #warn({ roots: [active] }: RootsView): void {
    if (!active) return;
    const passed = WARNINGS.findLast((part) => active.usedPercent >= part) ?? 0;
    if (passed > this.#warnedAt) {
      const { serial, notAfter, usedPercent } = active;
      const fields = { serial, notAfter, usedPercent, remedy: 'bulwark ca rotate prepare' };
      this.#deps.log.warn(`${passed} % of the life of the root are over`, fields);
    }
    this.#warnedAt = passed;
  }
}
