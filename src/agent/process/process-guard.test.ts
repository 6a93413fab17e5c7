import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { ProcessGuard } from '#agent/process/process-guard.ts';
import { silentLogger } from '#base/log.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

/** A program that starts `sleep` under a guard, prints its process id, and stays. */
const PARENT = `
import { ProcessGuard } from '#agent/process/process-guard.ts';
import { silentLogger } from '#base/log.ts';
const guard = new ProcessGuard({ searchPath: process.argv[1] }, { log: silentLogger });
await guard.start();
const options = { stdio: 'ignore', detached: true, deathSignal: 'SIGKILL' };
const child = guard.spawn('sleep', ['600'], options);
console.log(child.pid);
setInterval(() => {}, 1000);
`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a guarded process', () => {
  const ways = { 'the kernel or the watcher': process.env.PATH ?? '', 'the watcher': '' };
  for (const [way, searchPath] of Object.entries(ways)) {
    it(`ends when its parent is killed, by ${way}`, async (t) => {
      const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT, searchPath], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.after(() => parent.kill('SIGKILL'));
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      assert.ok(isAlive(pid), 'the child runs');
      parent.kill('SIGKILL');
      await waitUntil(() => !isAlive(pid), 'the child ends with its parent');
    });
  }

  it('that has ended by itself is forgotten, and the guard closes', async () => {
    const guard = new ProcessGuard({ searchPath: undefined }, { log: silentLogger });
    await guard.start();
    const child = guard.spawn('true', [], { stdio: 'ignore', deathSignal: 'SIGKILL' });
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    await guard.close();
    await guard.close();
  });
});
