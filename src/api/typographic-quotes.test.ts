// Quotes of print in YAML: found where they stand for straight ones, and nowhere else.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { correctQuotes, readDocuments } from '#api/documents.ts';
import { validateObject } from '#api/validate.ts';

/** What is said about a text, without places. */
function said(text: string): string[] {
  return readDocuments(text, { source: 'x' }).diagnostics.map(({ message }) => message);
}

describe('typographic quotes', () => {
  test('around a value, a key or an item are corrected', () => {
    for (const [wrong, right] of [
      ['kind: “Policy”', 'kind: "Policy"'],
      ['kind: ”Policy”', 'kind: "Policy"'],
      ['kind: „Policy“', 'kind: "Policy"'],
      ['kind: ‘Policy’', "kind: 'Policy'"],
      ['“kind”: Policy', '"kind": Policy'],
      ['a: [“b”, “c d”]', 'a: ["b", "c d"]'],
      ['a:\n- “b”\n---\nc: “d”', 'a:\n- "b"\n---\nc: "d"'],
      ['a: “b\\”', 'a: "b\\\\"'],
      ["a: ‘it's’", "a: 'it''s'"],
      ['a: “”', 'a: ""'],
    ] as const) {
      assert.equal(correctQuotes(wrong).corrected, right);
      assert.match(said(wrong)[0] ?? '', /the quotes are typographic/, wrong);
      assert.deepEqual(
        said(right).filter((one) => one.includes('typographic')),
        [],
      );
    }
  });

  test('inside of a text are a part of it', () => {
    for (const text of [
      'a: "“b”"',
      "a: '“b”'",
      'a: say “hello”',
      'a: “b” and “c”',
      'a: the users’',
      'a: “b',
      'a: |\n  “b”',
      'metadata: { annotations: { note: “b” } }',
      'data: { note: “b” }',
    ]) {
      assert.deepEqual(correctQuotes(text), { corrected: text, count: 0 });
      assert.deepEqual(said(text), [], text);
    }
  });

  test('are told of once for each line, which is shown as it should be', () => {
    const { diagnostics } = readDocuments('kind: Policy\nspec:\n  a: [“b”, “c”]\n', {
      source: 'x',
    });
    const [only, ...more] = diagnostics;
    assert.deepEqual(more, []);
    assert.match(only?.message ?? '', /: write a: \["b", "c"\]$/);
    assert.deepEqual([only?.line, only?.column], [3, 7]);
  });

  test('of a Secret are told of without what it holds', () => {
    assert.match(said('kind: Secret\ntype: “hidden”')[0] ?? '', /: write straight ones$/);
  });

  test('in a text that is no YAML are left alone', () => {
    assert.equal(correctQuotes('a: “b”: [').count, 0);
  });

  test('that came as JSON are told of by their field', () => {
    const of = (object: object) =>
      validateObject(object).diagnostics.map(({ field, message }) => `${field}: ${message}`);
    const apiVersion = 'security.istio.io/v1';
    const kind = 'PeerAuthentication';
    const metadata = { name: 'a' };
    assert.match(of({ apiVersion: `“${apiVersion}”`, kind, metadata })[0] ?? '', /^apiVersion: /);
    const mtls = { mode: '“STRICT”' };
    const wrong = of({ apiVersion, kind, metadata, spec: { mtls } });
    assert.deepEqual(wrong, [
      'spec.mtls.mode: Invalid value: "“STRICT”": the quotes are typographic; write "STRICT"',
    ]);
    assert.deepEqual(of({ apiVersion, kind, metadata, spec: { mtls: { mode: 'STRICT' } } }), []);
  });
});
