import assert from 'node:assert/strict';
import test from 'node:test';
import { Metrics } from './metrics.ts';

test('a tally reads as the histogram of the library does', async () => {
  const definition = { name: 'x_seconds', help: 'How long.', buckets: [0.1, 1, 10] };
  const [ours, theirs] = [new Metrics(), new Metrics()];
  const tally = ours.tally(definition);
  const histogram = theirs.histogram(definition);
  for (const value of [0, 0.1, 0.100001, 0.5, 1, 7, 10, 11, 1e9]) {
    tally.observe(value);
    histogram.observe(value);
  }
  const sorted = async (metrics: Metrics) => (await metrics.text()).split('\n').sort();
  assert.deepEqual(await sorted(ours), await sorted(theirs));
});

test('counts that are kept elsewhere are read when the metrics are, and not added up', async () => {
  const metrics = new Metrics();
  let pushes = 1;
  metrics.counterOf({ name: 'pushes', help: 'Pushes.', labels: ['type'] }, () => [
    ['cds', pushes],
    ['lds', 0],
  ]);
  assert.match(await metrics.text(), /pushes\{type="cds"\} 1\npushes\{type="lds"\} 0\n/);
  pushes = 5;
  assert.match(await metrics.text(), /pushes\{type="cds"\} 5\n/);
});
