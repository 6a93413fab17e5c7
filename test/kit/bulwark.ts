import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';
import { ManagedProcess } from './child-process.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bulwark.js', import.meta.url));
/** The launcher opens a cache of compiled code itself. */
const OWN_ENV = { KUBECONFIG: undefined, NODE_COMPILE_CACHE: undefined };

/**
 * Runs `bulwark` with these arguments as users do, as a process of its own; the test has to end it.
 */
export function bulwark(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): ManagedProcess {
  return new ManagedProcess({
    name: `bulwark ${args[0] ?? ''}`,
    command: process.execPath,
    args: [LAUNCHER, ...args],
    env: { ...OWN_ENV, ...env },
  });
}

/** How a command ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `bulwark` to its end, as users do. @param env on top of our own */
export async function runBulwark(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<CommandResult> {
  const { code, stdout, stderr } = await run(process.execPath, [LAUNCHER, ...args], {
    env: { ...process.env, ...OWN_ENV, ...env },
  });
  return { code, stdout: stdout.toString(), stderr };
}

/** Runs `bulwark` with nobody at the other end of these streams; the test has to end it. */
export function unreadBulwark(
  args: readonly string[],
  ...unread: readonly ('stdout' | 'stderr')[]
): ChildProcess {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...OWN_ENV },
  });
  for (const stream of unread) child[stream].destroy();
  return child;
}
