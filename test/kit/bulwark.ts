import { fileURLToPath } from 'node:url';
import { ManagedProcess } from './child-process.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bulwark.js', import.meta.url));

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
    // The launcher opens a cache of compiled code itself.
    env: { KUBECONFIG: undefined, NODE_COMPILE_CACHE: undefined, ...env },
  });
}
