import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BatchWriter, type BatchWriterOptions, LinesRefused } from '#audit/batch-writer.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

function writer(write: BatchWriterOptions['write'], options: Partial<BatchWriterOptions> = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  let lost = 0;
  const bounds = { linesMax: 10, charactersMax: 1000, batchMax: 4, isRetried: false };
  const made = new BatchWriter(
    { name: 'test', ...bounds, write, ...options },
    { clock, random: systemRandom, log, onLost: (count) => (lost += count) },
  );
  return { made, clock, lines, lost: () => lost };
}

describe('a writer of batches', () => {
  it('writes what it was given, in order and in batches', async () => {
    const batches: (readonly string[])[] = [];
    const { made } = writer(async (batch) => void batches.push(batch));
    for (let number = 0; number < 6; number += 1) made.push(String(number));
    await made.flushed();
    assert.deepEqual(batches, [
      ['0', '1', '2', '3'],
      ['4', '5'],
    ]);
  });

  it('drops and counts what does not fit, says so once a second, and never holds more', async () => {
    const gate = Promise.withResolvers<void>();
    const { made, clock, lines, lost } = writer(() => gate.promise);
    for (let number = 0; number < 1000; number += 1) made.push('x');
    assert.equal(lost(), 990);
    clock.advance(1000);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /"lost":990/);
    gate.resolve();
    await made.flushed();
    made.push('x'.repeat(1001));
    assert.equal(lost(), 991, 'nor a giant line');
  });

  it('loses what cannot be written, and goes on', async () => {
    let attempts = 0;
    const { made, lost } = writer(async () => {
      attempts += 1;
      if (attempts === 1) throw new Error('disk full');
    });
    made.push('a');
    await made.flushed();
    made.push('b');
    await made.flushed();
    assert.deepEqual([attempts, lost()], [2, 1]);
  });

  it('tries again what may be taken later, and not what is refused', async () => {
    const seen: string[] = [];
    const { made, clock, lost } = writer(
      async ([line = '']) => {
        seen.push(line);
        if (line === 'bad') throw new LinesRefused('400');
        if (seen.length === 1) throw new Error('503');
      },
      { isRetried: true, batchMax: 1 },
    );
    made.push('good');
    made.push('bad');
    await waitUntil(() => {
      clock.advance(1000);
      return lost() === 1;
    }, 'all is tried');
    assert.deepEqual(seen, ['good', 'good', 'bad']);
  });

  it('ends soon though nobody takes anything', async () => {
    const { made, lost } = writer(() => Promise.reject(new Error('away')), { isRetried: true });
    made.push('a');
    await new Promise((resolve) => setImmediate(resolve));
    await made.close();
    made.push('late');
    assert.equal(lost(), 2);
  });
});
