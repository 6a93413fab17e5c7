#!/usr/bin/env node
// The command `bulwark`: plain JavaScript that any Node from 18 on runs. Under Node 24 it goes on
// in this process; under an older one it hands over to the Node 24 that the set-up brought.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import * as module from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

/** The first Node that runs the sources as they are. */
const NODE_MAJOR = 24;

const root = fileURLToPath(new URL('..', import.meta.url));

/** The commands that run long beside others, and do little. */
const RESIDENT = ['agent', 'run', 'gateway'];
/** What they need of Node, to be loaded before V8 is told anything: see `keepHeapSmall`. */
const BUILTINS = ['child_process', 'crypto', 'dns/promises', 'fs/promises', 'http', 'http2']
  .concat(['https', 'net', 'os', 'readline', 'tls', 'url', 'util'])
  .map((name) => `node:${name}`);

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

/**
 * Keeps the process small: the part of the heap for new objects stays at its first size, 1 MB,
 * instead of growing to 16 MB; V8 keeps less code; and of its two compilers that optimize, only the
 * lighter one is used, which is as good for what agents do. Costs more, and shorter, collections;
 * saves 20 MB, and 16 MB more with a hundred identities (bench/agent/memory.bench.ts). Code that
 * was compiled before counts for the flags of its time: Node's own modules come compiled, and would
 * be compiled anew after this; ours are kept in a cache for each set of flags, so this comes before
 * that is opened.
 */
function keepHeapSmall() {
  for (const name of BUILTINS) process.getBuiltinModule(name);
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--optimize-for-size');
  setFlagsFromString('--no-turbofan');
}

/**
 * The file with all modules of an agent, when the set-up made one of what is there now
 * (tools/setup/agent-bundle.js).
 */
function agentBundle() {
  try {
    const inputs = JSON.parse(readFileSync(join(root, 'gen/agent/inputs.json'), 'utf8'));
    const isAsBefore = inputs.every(({ path, size, mtimeMs }) => {
      const now = statSync(root + path);
      return now.size === size && now.mtimeMs === mtimeMs;
    });
    return isAsBefore ? join(root, 'gen/agent/bundle.cjs') : undefined;
  } catch {
    return undefined;
  }
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
  const command = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  const isResident = RESIDENT.includes(command);
  if (isResident) keepHeapSmall();
  module.enableCompileCache(join(root, 'node_modules/.bulwark/compile-cache'));
  hideExperimentalWarnings();
  const bundle = isResident ? agentBundle() : undefined;
  if (bundle) await module.createRequire(import.meta.url)(bundle);
  else await import('../src/cli/main.ts');
} else {
  const node = join(root, 'node_modules/.bin/node');
  if (existsSync(node)) handOver(node);
  else
    refuse(
      `Node ${process.versions.node} is too old and there is no newer one in the dependencies`,
    );
}
