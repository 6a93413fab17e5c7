import { fileURLToPath } from 'node:url';
import { ManagedProcess } from './child-process.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** The launcher's, so that processes of tests start and weigh as those of users do. */
const COMPILE_CACHE = fileURLToPath(
  new URL('../../node_modules/.bulwark/compile-cache', import.meta.url),
);

/** Runs `bulwark` with these arguments as a process of its own; the test has to end it. */
export function bulwark(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): ManagedProcess {
  return new ManagedProcess({
    name: `bulwark ${args[0] ?? ''}`,
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', MAIN, ...args],
    env: { KUBECONFIG: undefined, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
  });
}
