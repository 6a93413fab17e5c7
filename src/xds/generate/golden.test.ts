import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { type GoldenCase, goldenCases, goldenSnapshot } from '../../../test/kit/golden-case.ts';
import { snapshotJson } from '../../../test/kit/xds-json.ts';

/**
 * Each pair `name.in.yaml`, `name.out.yaml` of testdata/ shows what one proxy gets from some
 * objects. After a wanted change, run with UPDATE_GOLDEN=1 and review the difference like code.
 */
const folder = new URL('testdata/', import.meta.url);
const update = process.env.UPDATE_GOLDEN === '1';

/** Characters of JSON from which on a part that is there twice is written once and referred to. */
const SHARED_FROM = 120;

/**
 * The same value, in which equal large parts are one object: YAML then names the first and refers
 * to it.
 */
function shareEqualParts(root: unknown): unknown {
  const known = new Map<string, unknown>();
  const share = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const copy = Array.isArray(value)
      ? value.map(share)
      : Object.fromEntries(Object.entries(value).map(([key, part]) => [key, share(part)]));
    const key = JSON.stringify(copy);
    if (key.length < SHARED_FROM) return copy;
    const first = known.get(key) ?? copy;
    known.set(key, first);
    return first;
  };
  return share(root);
}

/**
 * Formats of logs are long and everywhere the same: only the case that is about them shows them.
 */
function abridge(value: unknown, { showsLogs }: GoldenCase): unknown {
  const text = JSON.stringify(value, (key, part) =>
    key === 'json_format' && !showsLogs ? { kind: part.kind, port: part.port } : part,
  );
  return JSON.parse(text);
}

for (const [name, input] of goldenCases()) {
  test(`${name}: ${input.about}`, () => {
    const all = snapshotJson(goldenSnapshot(input));
    const shown = Object.fromEntries(input.show.map((type) => [type, abridge(all[type], input)]));
    const out = new URL(`${name}.out.yaml`, folder);
    if (update) writeFileSync(out, stringify(shareEqualParts(shown)));
    assert.deepEqual(shown, parse(readFileSync(out, 'utf8'), { maxAliasCount: -1 }));
  });
}

test('every expected output belongs to a case', () => {
  const names = readdirSync(folder);
  const inputs = names.filter((name) => name.endsWith('.in.yaml'));
  assert.deepEqual(
    names.filter((name) => name.endsWith('.out.yaml')),
    inputs.map((name) => name.replace('.in.', '.out.')),
  );
});
