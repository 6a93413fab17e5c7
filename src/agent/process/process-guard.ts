import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';

/** How a child ends when we are killed: `SIGKILL` for an Envoy, `SIGTERM` for an application. */
export type DeathSignal = 'SIGKILL' | 'SIGTERM';

export interface ProcessGuardOptions {
  /** Use setpriv where there is one; else always the watcher. True when left out. */
  readonly setprivAllowed?: boolean;
}

const PROBE_MS_MAX = 5000;

/**
 * Reads `add SIGNAL PID` and `remove SIGNAL PID`. The end of its input is our end: it then signals
 * whoever is left.
 */
const WATCHER = `
list=
while read -r verb signal pid; do
  rest=
  for entry in $list; do [ "$entry" = "$signal:$pid" ] || rest="$rest $entry"; done
  list=$rest
  [ "$verb" = add ] && list="$list $signal:$pid"
done
for entry in $list; do kill -s "\${entry%%:*}" "\${entry#*:}" 2>/dev/null; done
`;

/**
 * Starts processes that do not outlive us, not even when we are killed with SIGKILL and can do
 * nothing any more. On Linux the kernel sees to it (prctl PR_SET_PDEATHSIG, set by util-linux'
 * setpriv); elsewhere one small shell that reads a pipe from us, sees it close, and signals them.
 */
export class ProcessGuard implements Component {
  readonly name = 'process guard';
  readonly #log: Logger;
  readonly #setprivAllowed: boolean;
  #setpriv = false;
  #watcher: ChildProcess | undefined;

  constructor(options: ProcessGuardOptions, deps: { readonly log: Logger }) {
    this.#setprivAllowed = options.setprivAllowed ?? true;
    this.#log = deps.log;
  }

  async start(): Promise<void> {
    const onLinux = process.platform === 'linux';
    this.#setpriv = this.#setprivAllowed && onLinux && (await setprivWorks());
    if (!this.#setpriv) this.#startWatcher();
  }

  /**
   * Like `spawn` of node:child_process; a program that does not exist may show as exit code 127.
   */
  spawn(
    command: string,
    args: readonly string[],
    options: SpawnOptions & { readonly deathSignal: DeathSignal },
  ): ChildProcess {
    const { deathSignal, ...rest } = options;
    const signal = deathSignal.slice('SIG'.length);
    if (this.#setpriv)
      return spawn('setpriv', ['--pdeathsig', signal, '--', command, ...args], rest);
    const child = spawn(command, args, rest);
    const { pid } = child;
    if (pid !== undefined) {
      this.#tell(`add ${signal} ${pid}`);
      child.once('exit', () => this.#tell(`remove ${signal} ${pid}`));
    }
    return child;
  }

  /**
   * To be called when every process that was started here has ended: it would signal the others.
   */
  async close(): Promise<void> {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    if (!watcher || watcher.exitCode !== null || watcher.signalCode !== null) return;
    const ended = new Promise((resolve) => watcher.once('exit', resolve));
    watcher.stdin?.end();
    await ended;
  }

  /** In a session of its own, so that a Ctrl-C in our terminal does not end it before us. */
  #startWatcher(): void {
    const watcher = spawn('/bin/sh', ['-c', WATCHER], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    watcher.on('error', (error) => {
      this.#log.warn('no shell to watch over Envoy: if the agent is killed, Envoy lives on', {
        error,
      });
    });
    watcher.stdin?.on('error', (error) => this.#log.warn('the watcher ended', { error }));
    watcher.unref();
    this.#watcher = watcher;
  }

  #tell(line: string): void {
    this.#watcher?.stdin?.write(`${line}\n`);
  }
}

function setprivWorks(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(
      'setpriv',
      ['--pdeathsig', 'KILL', '--', 'true'],
      { timeout: PROBE_MS_MAX },
      (error) => {
        resolve(error === null);
      },
    );
  });
}
