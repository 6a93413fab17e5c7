import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { SETTINGS } from '#base/settings-table.ts';

export interface ManagedProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

const LINES_KEPT = 20_000;
const STOP_MS_MAX = 15_000;

/** The Envoy may be given; all other settings of the one who runs this are about another mesh. */
const SETTING_NAMES: ReadonlySet<string> = new Set(
  Object.entries(SETTINGS).flatMap(([name, { env }]) => (name === 'envoyPath' ? [] : env)),
);

/** An environment without the settings in it, such as KUBECONFIG. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !SETTING_NAMES.has(name)));
}

/**
 * A child process in a group of its own, so that Ctrl-C reaches it only through us. Its output is
 * kept, line by line, for conditions to wait on and for reports after a failure.
 */
export class ManagedProcess {
  readonly name: string;
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  readonly #ended: Promise<void>;
  #exit: { code: number | null; signal: NodeJS.Signals | null } | undefined;

  constructor({ name, command, args, env, cwd }: ManagedProcessOptions) {
    this.name = name;
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...withoutSettings(process.env), ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#exit ??= { code, signal };
        this.#tell();
        resolve();
      };
      this.#child.on('exit', end);
      this.#child.on('error', (error) => {
        this.#take(`cannot start: ${error.message}`);
        end(127, null);
      });
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get exit(): { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined {
    return this.#exit;
  }

  /**
   * Resolves with what `find` makes of a line, of those that came and those to come.
   * @throws Error with the last lines when the process ends first or `withinMs` pass
   */
  async waitForLine<T>(find: (line: string) => T | undefined, withinMs: number): Promise<T> {
    let seen = 0;
    const look = (): T | undefined => {
      for (; seen < this.lines.length; seen += 1) {
        const found = find(this.lines[seen] ?? '');
        if (found !== undefined) return found;
      }
      return undefined;
    };
    const timeout = AbortSignal.timeout(withinMs);
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#exit) throw new Error(`${this.name} ended: ${this.tail()}`);
      if (timeout.aborted) throw new Error(`${this.name} did not say it in time: ${this.tail()}`);
      await this.#change(timeout);
    }
  }

  /** Resolves when the process has ended, however. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** The last lines, for a report. */
  tail(count = 15): string {
    const state = this.#exit ? ` (exit ${this.#exit.code ?? this.#exit.signal})` : '';
    return `${state}\n${this.lines.slice(-count).join('\n')}`;
  }

  /** Sends a signal to the process itself. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#exit) this.#child.kill(signal);
  }

  /** Kills the process, not what it started, and waits for its end. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#ended;
  }

  /** Asks it to end, insists after a while with everything in its group, and waits. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    await Promise.race([this.#ended, pause(STOP_MS_MAX, undefined, { ref: false })]);
    this.#killGroup();
    await this.#ended;
  }

  #killGroup(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // nobody is left in the group
    }
  }

  #take(line: string): void {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT * 2) this.lines.splice(0, LINES_KEPT);
    this.#tell();
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #change(timeout: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        timeout.removeEventListener('abort', done);
        resolve();
      };
      this.#watchers.add(done);
      timeout.addEventListener('abort', done);
    });
  }
}
