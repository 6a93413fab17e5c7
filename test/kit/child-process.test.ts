import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagedProcess } from './child-process.ts';

test('a process gets no settings of the one who starts it, but those that it is given', async (t) => {
  const names = ['KUBECONFIG', 'CA_ADDR', 'BULWARK_HARDENING'];
  const before = names.map((name) => [name, process.env[name]] as const);
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  for (const name of names) process.env[name] = 'of another mesh';
  const script = `console.log('seen', ${names.map((name) => `process.env.${name}`)})`;
  const child = new ManagedProcess({
    name: 'child',
    command: process.execPath,
    args: ['--eval', script],
    env: { CA_ADDR: 'given' },
  });
  t.after(() => child.kill());
  const line = await child.waitForLine((one) => (one.startsWith('seen') ? one : undefined), 30_000);
  assert.equal(line, 'seen undefined given undefined');
});
