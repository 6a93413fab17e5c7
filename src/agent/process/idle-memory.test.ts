// Memory is given back at rest, not at work; and a process goes on as before without it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { IdleMemory } from '#agent/process/idle-memory.ts';
import { silentLogger } from '#base/log.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

function setUp(outcome: () => void = () => {}) {
  const clock = new FakeClock();
  let times = 0;
  const giveBack = () => {
    times += 1;
    outcome();
  };
  return {
    clock,
    memory: new IdleMemory({ clock, log: silentLogger, giveBack }),
    times: () => times,
  };
}

describe('memory at rest', () => {
  it('is given back when nothing was done for two seconds, and once more after a pause', () => {
    const { clock, memory, times } = setUp();
    memory.noteWork();
    clock.advance(1999);
    assert.equal(times(), 0);
    clock.advance(1);
    assert.equal(times(), 1);
    clock.advance(20_000);
    assert.equal(times(), 2);
    assert.deepEqual(clock.waitingMs, []);
  });

  it('is kept while there is work', () => {
    const { clock, memory, times } = setUp();
    for (let second = 0; second < 60; second += 1) {
      memory.noteWork();
      clock.advance(1000);
    }
    assert.equal(times(), 0);
    clock.advance(1000);
    assert.equal(times(), 1);
  });

  it('is given back again no sooner than after the pause', () => {
    const { clock, memory, times } = setUp();
    memory.noteWork();
    clock.advance(2000);
    memory.noteWork();
    clock.advance(19_999);
    assert.equal(times(), 1);
    clock.advance(1);
    assert.equal(times(), 2);
  });

  it('is kept for good where giving back fails, and after the end', () => {
    const { clock, memory, times } = setUp(() => {
      throw new Error('no such library');
    });
    memory.noteWork();
    clock.advance(2000);
    memory.noteWork();
    assert.equal(times(), 1);
    assert.deepEqual(clock.waitingMs, []);
    const ended = setUp();
    ended.memory.noteWork();
    ended.memory.close();
    ended.memory.noteWork();
    assert.deepEqual(ended.clock.waitingMs, []);
  });
});

/** Prints kilobytes of files in memory before and after, and whether Node works all the time. */
const PROGRAM = `
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { giveBackMemory } from '#agent/process/give-back.ts';
const ofFiles = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
const works = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const text = Buffer.from(new Intl.DateTimeFormat('de').format(0));
  return verify('sha256', text, publicKey, sign('sha256', text, privateKey));
};
const all = [works()];
const before = ofFiles();
giveBackMemory();
const after = ofFiles();
for (let time = 0; time < 20; time += 1) {
  all.push(works());
  giveBackMemory();
}
process.stdout.write(JSON.stringify({ before, after, works: all.every(Boolean) }));
`;

describe('a process that gives memory back', () => {
  it('has less of its program in memory, and works as before', async () => {
    const cwd = fileURLToPath(new URL('../../..', import.meta.url));
    const args = ['--input-type=module', '-e', PROGRAM];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd });
    const { before, after, works } = JSON.parse(stdout);
    assert.ok(after < before / 2, `${before} kB became ${after} kB`);
    assert.equal(works, true);
  });
});
