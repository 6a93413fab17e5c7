#!/usr/bin/env node
// The command `bulwark`: plain JavaScript that any Node from 18 on runs. Under Node 24 it goes on
// in this process; under an older one it hands over to the Node 24 that the set-up brought.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The first Node that runs the sources as they are. */
const NODE_MAJOR = 24;

const root = fileURLToPath(new URL('..', import.meta.url));

/** Says what is missing and how to get it; 69 = EX_UNAVAILABLE of sysexits. */
function refuse(what) {
  process.stderr.write(`bulwark: ${what}; run "npm run setup" in ${root}\n`);
  process.exit(69);
}

/**
 * Node warns on standard error about parts of itself that may change; ours are pinned, so users
 * need not know.
 */
function hideExperimentalWarnings() {
  const others = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === 'ExperimentalWarning') return;
    for (const listener of others) listener.call(process, warning);
  });
}

/** Runs this file again under another Node, which then behaves as if it had been called itself. */
function handOver(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => refuse(`${node} does not start (${error.message})`));
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

if (!existsSync(join(root, 'node_modules')) || !existsSync(join(root, 'gen/.key'))) {
  refuse('this checkout is not set up');
} else if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) {
  module.enableCompileCache(join(root, 'node_modules/.bulwark/compile-cache'));
  hideExperimentalWarnings();
  await import('../src/cli/main.ts');
} else {
  const node = join(root, 'node_modules/.bin/node');
  if (existsSync(node)) handOver(node);
  else
    refuse(
      `Node ${process.versions.node} is too old and there is no newer one in the dependencies`,
    );
}
