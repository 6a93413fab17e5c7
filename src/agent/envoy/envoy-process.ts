import type { ChildProcess } from 'node:child_process';
import { ENVOY_LOG_FORMAT } from '#agent/envoy/envoy-log.ts';
import { LineSplitter } from '#agent/process/line-splitter.ts';
import type { ProcessGuard } from '#agent/process/process-guard.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/** How one run of Envoy is started. */
export interface EnvoyProcessOptions {
  readonly path: string;
  readonly bootstrapPath: string;
  /** Worker threads. */
  readonly concurrency: number;
  /** Whether Envoy's informational lines are wanted too. */
  readonly verbose: boolean;
  /** Milliseconds in which open connections may end after a listener changed or is drained. */
  readonly drainMs: number;
  /** A line of the access log (standard output). */
  readonly onAccessLine: (line: string) => void;
  /** A line of Envoy's own log (standard error), in the form of ENVOY_LOG_FORMAT. */
  readonly onLogLine: (line: string) => void;
  /** A line was longer than LIMITS.envoyLineBytesMax. */
  readonly onDroppedLine: () => void;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of Envoy, from its start to its end. */
export class EnvoyProcess {
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  #exit: ProcessExit | undefined;

  /**
   * Starts it. The session is its own, so that a Ctrl-C in our terminal does not end it before it
   * is drained. `exited` rejects with AGENT_ENVOY_MISSING when it cannot be started.
   */
  constructor(options: EnvoyProcessOptions, deps: { readonly guard: ProcessGuard }) {
    const child = deps.guard.spawn(options.path, commandLine(options), {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      deathSignal: 'SIGKILL',
    });
    this.#child = child;
    this.exited = new Promise((resolve, reject) => {
      child.on('error', (cause) => {
        if (child.pid !== undefined) return; // a signal that came too late
        const message = `cannot start ${options.path}`;
        reject(new BulwarkError('AGENT_ENVOY_MISSING', message, { cause }));
      });
      // `close` follows `exit` when all output was read: its last words are not lost.
      child.on('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    readLines(child.stdout, options.onAccessLine, options.onDroppedLine);
    readLines(child.stderr, options.onLogLine, options.onDroppedLine);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a signal, unless it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#exit) this.#child.kill(signal);
  }
}

function commandLine(options: EnvoyProcessOptions): readonly string[] {
  const seconds = String(Math.max(1, Math.round(options.drainMs / 1000)));
  return [
    ['-c', options.bootstrapPath],
    // Many Envoys on one machine: without this the second one finds the first one's shared memory.
    ['--disable-hot-restart'],
    ['--concurrency', String(options.concurrency)],
    // A changed filter chain must not keep its old policy for Envoy's default of ten minutes.
    ['--drain-strategy', 'immediate'],
    ['--drain-time-s', seconds],
    // Refusals are read from the access log: Envoy's default holds a line back for ten seconds.
    ['--file-flush-interval-msec', '250'],
    ['--log-level', options.verbose ? 'info' : 'warning'],
    ['--log-format', ENVOY_LOG_FORMAT],
    ['--log-format-escaped'],
    ['--skip-deprecated-logs'],
  ].flat();
}

function readLines(
  stream: ChildProcess['stdout'],
  onLine: (line: string) => void,
  onDropped: () => void,
): void {
  const lineBytesMax = LIMITS.envoyLineBytesMax;
  const splitter = new LineSplitter({ lineBytesMax, onLine, onDropped });
  stream?.on('data', (chunk: Buffer) => splitter.push(chunk));
  stream?.on('end', () => splitter.end());
}
