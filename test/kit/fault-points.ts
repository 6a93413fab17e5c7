// Loaded before a server (`node --import`), kills its process at one step of what it keeps on disk
// or signs, as a power cut would: after it, or in the middle of it. Nothing of the server knows.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';

import { FAULT_ENV, type FaultStep } from './fault-names.ts';

const at = process.env[FAULT_ENV.at];
const log = process.env[FAULT_ENV.log];
const counts = new Map<string, number>();

/** Names of files that are other ones each time. */
function nameOf(path: unknown): string {
  const name = basename(String(path));
  return /^[0-9a-f]{16}$/.test(name) ? 'slot' : name.replace(/^\.[0-9a-f]{12}\.tmp$/, 'tmp');
}

function passed(step: FaultStep, what = ''): void {
  const label = `${step} ${what}`.trim();
  const count = (counts.get(label) ?? 0) + 1;
  counts.set(label, count);
  const point = `${label}#${count}`;
  if (log !== undefined) fs.appendFileSync(log, `${point}\n`);
  if (point === at) process.kill(process.pid, 'SIGKILL');
}

type Any = (...args: unknown[]) => unknown;

/** Puts another function in place of one that a module or class has. */
function replace(owner: object, name: string, make: (original: Any) => Any): void {
  const table = owner as Record<string, Any>;
  const original = table[name];
  if (!original) throw new Error(`there is no ${name} to replace`);
  table[name] = make(original);
}

/** After it has done its work, asynchronously. */
function after(owner: object, name: string, step: FaultStep, which = 0): void {
  replace(owner, name, (original) => {
    return async function (this: unknown, ...args: unknown[]) {
      const result = await original.apply(this, args);
      passed(step, nameOf(args[which]));
      return result;
    };
  });
}

const paths = new WeakMap<object, string>();
replace(fs.promises, 'open', (original) => {
  return async function (this: unknown, ...args: unknown[]) {
    const handle = (await original.apply(this, args)) as object;
    paths.set(handle, nameOf(args[0]));
    if (/^[wa]/.test(String(args[1] ?? 'r'))) passed('open', nameOf(args[0]));
    return handle;
  };
});
after(fs.promises, 'mkdir', 'mkdir');
after(fs.promises, 'rename', 'rename', 1);
after(fs.promises, 'rm', 'rm');

const probe = await fs.promises.open('/dev/null', 'r');
const handles = Object.getPrototypeOf(probe) as object;
await probe.close();
for (const name of ['sync', 'datasync'])
  replace(handles, name, (original) => {
    return async function (this: object, ...args: unknown[]) {
      await original.apply(this, args);
      passed('sync', paths.get(this));
    };
  });
replace(handles, 'writeFile', (original) => {
  return async function (this: object, ...args: unknown[]) {
    const content = Buffer.from(args[0] as string);
    const half = Math.floor(content.length / 2);
    await original.call(this, content.subarray(0, half));
    passed('write', paths.get(this));
    await original.call(this, content.subarray(half));
    passed('write', paths.get(this));
  };
});
replace(crypto, 'sign', (original) => {
  return function (this: unknown, ...args: unknown[]) {
    const signature = original.apply(this, args);
    passed('sign');
    return signature;
  };
});
replace(DatabaseSync.prototype, 'exec', (original) => {
  return function (this: unknown, ...args: unknown[]) {
    original.apply(this, args);
    const word = /^\s*(BEGIN|COMMIT)\b/.exec(String(args[0]))?.[1];
    if (word === 'BEGIN') passed('begin');
    if (word === 'COMMIT') passed('commit');
  };
});
replace(StatementSync.prototype, 'run', (original) => {
  return function (this: unknown, ...args: unknown[]) {
    const result = original.apply(this, args);
    passed('insert');
    return result;
  };
});
syncBuiltinESMExports();
