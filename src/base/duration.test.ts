import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { formatDurationMs, parseDurationMs } from '#base/duration.ts';

it('durations read as Go writes them', () => {
  assert.equal(parseDurationMs('24h'), 86_400_000);
  assert.equal(parseDurationMs('1h30m'), 5_400_000);
  assert.equal(parseDurationMs('1.5s'), 1500);
  assert.equal(parseDurationMs('250ms'), 250);
  assert.equal(parseDurationMs('0'), 0);
});

it('what is no duration is refused', () => {
  for (const text of ['', '5', 'h', '1d', '1h ', '-1h', '1h-5m', 'NaN']) {
    assert.equal(parseDurationMs(text), undefined, text);
  }
});

it('a whole number of seconds survives formatting and reading', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (seconds) => {
      assert.equal(parseDurationMs(formatDurationMs(seconds * 1000)), seconds * 1000);
    }),
  );
});
