import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { freePort } from './free-port.ts';

/** Of 12,000: were they not claimed, two processes would have some in common but for rare luck. */
const PORTS = 300;

test('a port that one process has no other gets', async () => {
  const own = new Set<number>();
  for (let count = 0; count < PORTS; count += 1) own.add(await freePort());
  assert.equal(own.size, PORTS);
  const script = `
    const { freePort } = await import(${JSON.stringify(new URL('free-port.ts', import.meta.url))});
    for (let count = 0; count < ${PORTS}; count += 1) console.log(await freePort());`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const others = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split('\n');
  assert.equal(others.length, PORTS);
  assert.deepEqual(
    others.filter((port) => own.has(Number(port))),
    [],
  );
});
