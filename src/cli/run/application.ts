import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { upstreamVariable } from '#agent/config/upstream.ts';
import { type ChosenPorts, LOOPBACK } from '#agent/envoy/ports.ts';
import type { ProcessGuard } from '#agent/process/process-guard.ts';
import type { Logger } from '#base/log.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Hosts that an application always calls without the proxy. */
const DIRECT = ['localhost', '127.0.0.1', '::1'];

/** Signals that are handed on to the application. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;
/** Those that a terminal sends to the whole foreground, so to the application too. */
const FROM_TERMINAL: readonly string[] = ['SIGINT', 'SIGQUIT'];

/**
 * The environment of an application in the mesh: plain HTTP goes to its Envoy by `HTTP_PROXY`,
 * other protocols by the local ports in `BULWARK_UPSTREAM_*`; `PORT` is where it shall listen, and
 * `SPIFFE_ENDPOINT_SOCKET` where the Workload API answers (SPIFFE Workload Endpoint, section 4).
 */
export function applicationEnvironment(
  env: Environment,
  ports: ChosenPorts | undefined,
  port: number | undefined,
  workloadSocket?: string,
): Environment {
  const api =
    workloadSocket === undefined ? {} : { SPIFFE_ENDPOINT_SOCKET: `unix://${workloadSocket}` };
  if (!ports) return { ...env, ...api };
  const proxy = `http://${LOOPBACK}:${ports.httpProxyPort}`;
  const direct = [env.NO_PROXY ?? env.no_proxy ?? '', ...DIRECT].filter(Boolean).join(',');
  const upstreams = ports.upstreams.map(
    (upstream) => [upstreamVariable(upstream), `${LOOPBACK}:${upstream.listen}`] as const,
  );
  return {
    ...env,
    ...api,
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    ...Object.fromEntries(upstreams),
    ...(port === undefined ? {} : { PORT: String(port) }),
  };
}

export interface ApplicationOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Environment;
  /** Called with each signal that was handed on. */
  readonly onSignal: (signal: NodeJS.Signals) => void;
}

/**
 * Runs the application in our place: its standard streams are ours, signals that we get are handed
 * on.
 * @returns its exit code; 128 + number after a signal; 127 when it cannot be started
 */
export async function runApplication(
  { command, args, env, onSignal }: ApplicationOptions,
  { guard, log }: { readonly guard: ProcessGuard; readonly log: Logger },
): Promise<number> {
  const child = guard.spawn(command, args, { stdio: 'inherit', env, deathSignal: 'SIGTERM' });
  const forward = (signal: NodeJS.Signals): void => {
    onSignal(signal);
    const reachedIt = process.stdin.isTTY && FROM_TERMINAL.includes(signal);
    if (!reachedIt) child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await exitCode(child, log);
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

function exitCode(child: ChildProcess, log: Logger): Promise<number> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      if (child.pid !== undefined) return; // a signal that came too late
      log.error('the application cannot be started', { error });
      resolve(127);
    });
    child.on('exit', (code, signal) => {
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
    });
  });
}
