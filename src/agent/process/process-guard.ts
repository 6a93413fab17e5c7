import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';

/** How a child ends when we are killed: `SIGKILL` for an Envoy, `SIGTERM` for an application. */
export type DeathSignal = 'SIGKILL' | 'SIGTERM';

export interface ProcessGuardOptions {
  /** The PATH to look for setpriv on; without it there is always the watcher. */
  readonly searchPath: string | undefined;
}

/** The option of setpriv that is needed, without its hyphens. */
const OPTION = 'pdeathsig';

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
  readonly #searchPath: string;
  #setpriv: string | undefined;
  #watcher: ChildProcess | undefined;

  constructor(options: ProcessGuardOptions, deps: { readonly log: Logger }) {
    this.#searchPath = options.searchPath ?? '';
    this.#log = deps.log;
  }

  async start(): Promise<void> {
    if (process.platform === 'linux') this.#setpriv = findSetpriv(this.#searchPath);
    if (this.#setpriv === undefined) this.#startWatcher();
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
    if (this.#setpriv !== undefined)
      return spawn(this.#setpriv, [`--${OPTION}`, signal, '--', command, ...args], rest);
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

/**
 * The setpriv that knows the option; older ones do not, nor does busybox's. That is seen in the
 * program itself: to start a process takes 5 ms of a start that a user waits for, to read it 0.1.
 */
function findSetpriv(searchPath: string): string | undefined {
  for (const directory of searchPath.split(delimiter).filter(Boolean)) {
    const path = join(directory, 'setpriv');
    try {
      accessSync(path, constants.X_OK);
      return readFileSync(path, 'latin1').includes(OPTION) ? path : undefined;
    } catch {
      // not here
    }
  }
  return undefined;
}
