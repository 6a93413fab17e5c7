// The conformance runner counts right, and tells a known failure from a new one.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { formatJson, formatText, knownOf, parseKnown, runSuites, surprises } from './runner.ts';
import type { CaseResult } from './suite.ts';
import { SUITES, type SuiteEntry } from './suites.ts';

const RESULTS: readonly CaseResult[] = [
  { case: 'a', outcome: 'passed' },
  { case: 'b', outcome: 'failed', detail: 'want 1\n  got 2' },
  { case: 'c', outcome: 'skipped', detail: 'EnvoyFilter' },
];

describe('the conformance runner', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bulwark-conformance-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['one.json', 'two.json']) writeFileSync(join(directory, name), '[]');

  const built = (results: readonly CaseResult[]): SuiteEntry => ({
    name: 'one',
    data: 'one.json',
    load: async () => ({ name: 'one', run: async () => results }),
  });
  const notBuilt: SuiteEntry = { name: 'two', data: 'two.json' };
  const absent: SuiteEntry = {
    name: 'three',
    data: 'three.json',
    load: () => Promise.reject(new Error('must not be loaded')),
  };

  test('prints each failure, each suite and the totals last', async () => {
    const reports = await runSuites(directory, [built(RESULTS), notBuilt, absent]);
    assert.equal(
      formatText(reports),
      'failed: one: b: want 1 got 2\n' +
        'one: 1 passed, 1 failed, 1 skipped\n' +
        'two: skipped-not-built\n' +
        '1 passed, 1 failed, 1 skipped\n',
    );
  });

  test('gives the same as data', async () => {
    const reports = await runSuites(directory, [built(RESULTS), notBuilt]);
    assert.deepEqual(JSON.parse(formatJson(reports)), {
      suites: {
        one: {
          passed: 1,
          failed: 1,
          skipped: 1,
          failures: [{ case: 'b', detail: 'want 1\n  got 2' }],
        },
        two: { passed: 0, failed: 0, skipped: 0, failures: [], notBuilt: true },
      },
      passed: 1,
      failed: 1,
      skipped: 1,
    });
  });

  test('counts a suite that breaks as a failure', async () => {
    const broken: SuiteEntry = {
      name: 'one',
      data: 'one.json',
      load: async () => ({ name: 'one', run: () => Promise.reject(new Error('bad data')) }),
    };
    const reports = await runSuites(directory, [broken]);
    assert.match(formatText(reports), /^failed: one: \*: Error: bad data/);
    assert.equal(surprises(reports, {}).length, 1);
  });

  test('accepts a known failure, and nothing beside it', async () => {
    const reports = await runSuites(directory, [built(RESULTS)]);
    assert.deepEqual(surprises(reports, { one: { b: 'why' } }), []);
    assert.deepEqual(surprises(reports, {}), ['one: b fails and is not a known failure']);
  });

  test('refuses a listed case that passes, is skipped or is gone', async () => {
    const reports = await runSuites(directory, [built(RESULTS)]);
    const listed = { one: { a: 'why', b: 'why', c: 'why', d: 'why' } };
    assert.deepEqual(
      surprises(reports, listed),
      ['a', 'c', 'd'].map((name) => `one: ${name} is listed as a known failure and does not fail`),
    );
  });

  test('leaves known failures of suites that did not run alone', async () => {
    const reports = await runSuites(directory, [notBuilt]);
    assert.deepEqual(surprises(reports, { two: { x: 'why' }, three: { y: 'why' } }), []);
  });

  test('runs some families only, and leaves known failures of others alone', async () => {
    const asked: unknown[] = [];
    const picky: SuiteEntry = {
      name: 'one',
      data: 'one.json',
      load: async () => ({
        name: 'one',
        run: async (_, filter) => {
          asked.push(filter?.families);
          return RESULTS;
        },
      }),
    };
    const reports = await runSuites(directory, [picky], { families: ['x'] });
    assert.deepEqual(asked, [['x']]);
    const known = knownOf(reports, { one: { b: 'why', gone: 'why' }, two: { y: 'why' } });
    assert.deepEqual(known, { one: { b: 'why' }, two: {} });
    assert.deepEqual(surprises(reports, known), []);
  });

  test('wants a reason for every known failure', () => {
    assert.deepEqual(parseKnown('{"one": {"a": "why"}}'), { one: { a: 'why' } });
    for (const bad of ['[]', '{"one": ["a"]}', '{"one": {"a": ""}}', '{"one": {"a": true}}'])
      assert.throws(() => parseKnown(bad), /known failures/);
  });

  test('knows each suite under one name', () => {
    assert.equal(new Set(SUITES.map(({ name }) => name)).size, SUITES.length);
  });
});
