import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/**
 * A checkout for the set-up to work on, with a cache of its own and only the commands that a test
 * gives it.
 */
export interface SetupCheckout {
  readonly root: string;
  readonly cache: string;
  /** The environment: PATH holds nothing but our commands. */
  readonly env: NodeJS.ProcessEnv;
  /** What the set-up reported. */
  readonly reported: string[];
  report(line: string): void;
  /** Puts a command on PATH: the body of a script that Node runs; gives its path. */
  addCommand(name: string, body: string): string;
}

/** A checkout with what the set-up reads: lock file, messages and generator. */
export function setupCheckout(t: TestContext): SetupCheckout {
  const base = temporaryDirectory(t);
  const [root, cache, commands] = ['root', 'cache', 'bin'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [root, commands]) mkdirSync(directory);
  for (const name of ['proto', 'tools/setup', 'package-lock.json'])
    cpSync(join(REPOSITORY, name), join(root, name), { recursive: true });
  const reported: string[] = [];
  return {
    root,
    cache,
    reported,
    report: (line) => reported.push(line),
    env: { PATH: [commands].join(delimiter), BULWARK_CACHE: cache, HOME: base },
    addCommand(name, body) {
      const path = join(commands, name);
      writeFileSync(path, `#!${process.execPath}\n${body}\n`);
      chmodSync(path, 0o755);
      return path;
    },
  };
}
