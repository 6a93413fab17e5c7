// Texts of YAML and JSON documents: what is read, where findings are, and what is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readDocuments } from '#api/documents.ts';
import { validateObject } from '#api/validate.ts';
import { LIMITS } from '#base/limits.ts';

const read = (text: string) => readDocuments(text, { source: 'a.yaml' });

/** The values of a text that has no errors. */
function valuesOf(text: string): unknown[] {
  const { documents, diagnostics } = read(text);
  assert.deepEqual(diagnostics, []);
  return documents.map(({ value }) => value);
}

/** `line:column message` of each problem of a text. */
function problemsOf(text: string): string[] {
  return read(text).diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

describe('reading', () => {
  test('takes several documents apart and skips empty ones', () => {
    assert.deepEqual(valuesOf('a: 1\n---\n---\n# only a comment\n---\nb: 2\n...\nc: 3\n'), [
      { a: 1 },
      { b: 2 },
      { c: 3 },
    ]);
    assert.deepEqual(valuesOf(''), []);
    assert.deepEqual(valuesOf('---\n'), []);
  });

  test('takes JSON, alone or between YAML', () => {
    assert.deepEqual(valuesOf('{"a": [1, null, "x\\u00e9\\/"], "b": 1e3}'), [
      { a: [1, null, 'xé/'], b: 1000 },
    ]);
    assert.deepEqual(valuesOf('{"a": 1}\n---\n{"b":\t2}\n'), [{ a: 1 }, { b: 2 }]);
  });

  test('takes lists apart, lists in lists too', () => {
    const text = `
kind: List
apiVersion: v1
items:
  - {kind: A}
  - kind: BList
    items: [{kind: B}, {kind: B, x: 2}]
---
kind: List
items: null
`;
    assert.deepEqual(valuesOf(text), [{ kind: 'A' }, { kind: 'B' }, { kind: 'B', x: 2 }]);
  });

  test('reads words as kubectl does: on is true, 0644 is octal, dates and 12:30 are text', () => {
    assert.deepEqual(
      valuesOf('a: on\nb: 0644\nc: 2026-01-01\nd: 12:30\ne: ~\nf: "on"\n80: x\ny: z\n'),
      [{ a: true, b: 0o644, c: '2026-01-01', d: '12:30', e: null, f: 'on', 80: 'x', true: 'z' }],
    );
  });

  test('follows anchors and merges; what is written beside a merge wins', () => {
    const text = 'a: &a {k: 1, l: 2}\nb: *a\nc: {<<: *a, k: 3}\nd: {<<: [{m: 4}, *a], "<<": 5}\n';
    assert.deepEqual(valuesOf(text), [
      {
        a: { k: 1, l: 2 },
        b: { k: 1, l: 2 },
        c: { k: 3, l: 2 },
        d: { '<<': 5, m: 4, k: 1, l: 2 },
      },
    ]);
  });

  test('keeps keys such as __proto__ as keys', () => {
    const [value] = valuesOf('__proto__: {x: 1}\nconstructor: 2\n');
    assert.equal(JSON.stringify(value), '{"__proto__":{"x":1},"constructor":2}');
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });

  test('gives every JSON object back as it was', () => {
    const objects = fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 4 }));
    fc.assert(
      fc.property(objects, (object) => {
        fc.pre(!String(object.kind).endsWith('List'));
        const text = JSON.stringify(object);
        assert.equal(JSON.stringify(valuesOf(text)), JSON.stringify([JSON.parse(text)]));
      }),
    );
  });
});

describe('positions', () => {
  const text = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: a
  annotations: {"example.com/x.y": "1"}
spec:
  selector: &s
    matchLabels:
      app: web
  mtls:
    mode: STRIKT
  portLevelMtls:
    80:
      mode: DISABLE
`;

  test('of fields are those of their keys', () => {
    const [document] = read(text).documents;
    const at = (field: string) => {
      const position = document?.positionOf(field);
      return `${position?.line}:${position?.column}`;
    };
    assert.equal(at('kind'), '2:1');
    assert.equal(at('spec.mtls.mode'), '11:5');
    assert.equal(at('spec.portLevelMtls[80].mode'), '14:7');
    assert.equal(at('metadata.annotations[example.com/x.y]'), '5:17');
    assert.equal(at('spec.selector.matchLabels[app]'), '9:7');
  });

  test('of what is missing are those of what is around it', () => {
    const [document] = read(text).documents;
    assert.deepEqual(document?.positionOf('spec.mtls.other.deeper'), { line: 10, column: 3 });
    assert.deepEqual(document?.positionOf(''), { line: 1, column: 1 });
    assert.deepEqual(document?.positionOf('spec.mtls.mode.x'), { line: 11, column: 5 });
  });

  test('in lists count from the item', () => {
    const { documents } = read('kind: List\nitems:\n- kind: A\n  x: 1\n- kind: B\n  l: [1, 2]\n');
    assert.deepEqual(documents[0]?.positionOf('x'), { line: 4, column: 3 });
    assert.deepEqual(documents[1]?.positionOf('l[1]'), { line: 6, column: 10 });
    assert.deepEqual(documents[1]?.positionOf('metadata.name'), { line: 5, column: 3 });
  });

  test('go through anchors, and of merged fields stand where the merge is', () => {
    const { documents } = read('a: &a\n  k: 1\nb: *a\nc:\n  <<: *a\n');
    assert.deepEqual(documents[0]?.positionOf('b.k'), { line: 2, column: 3 });
    assert.deepEqual(documents[0]?.positionOf('c.k'), { line: 5, column: 3 });
  });

  test('make of a diagnostic one with file, line and column', () => {
    const [document] = read(text).documents;
    const [finding] = validateObject(document?.value).diagnostics;
    assert.ok(document && finding);
    const { source, line, column, field, remedy } = document.locate(finding);
    assert.deepEqual(
      { source, line, column, field, remedy },
      {
        source: 'a.yaml',
        line: 11,
        column: 5,
        field: 'spec.mtls.mode',
        remedy: 'did you mean "STRICT"?',
      },
    );
  });
});

describe('refused are', () => {
  test('texts that do not parse, at the place where it shows', () => {
    assert.match(problemsOf('a: 1\nb: "x\n')[0] ?? '', /^\d+:\d+ Missing closing/);
    assert.match(problemsOf('a:\n\tb: 1\n')[0] ?? '', /^2:1 Tabs are not allowed/);
    assert.match(problemsOf('a: b: c\n')[0] ?? '', /^1:4 /);
    assert.match(problemsOf('{"a": 1')[0] ?? '', /^1:\d+ /);
    assert.equal(problemsOf('a: [}]]\n').length, 1);
  });

  test('without hindering the documents beside them', () => {
    const { documents, diagnostics } = read('a: 1\n---\nb: [\n---\nc: 3\n');
    assert.deepEqual(
      documents.map(({ value }) => value),
      [{ a: 1 }, { c: 3 }],
    );
    assert.deepEqual(
      diagnostics.map(({ severity, reason, source }) => [severity, reason, source]),
      [['error', 'DocumentUnreadable', 'a.yaml']],
    );
  });

  test('keys that stand twice, however they are written', () => {
    const message = 'the key "a" stands twice in the same map';
    assert.deepEqual(problemsOf('a: 1\nb: 2\na: 3\n'), [`3:1 ${message}`]);
    assert.deepEqual(problemsOf('{"x": {"a": 1, "\\u0061": 2}}'), [`1:16 ${message}`]);
    assert.deepEqual(problemsOf('a: 1\n&k "a": 2\n'), [`2:4 ${message}`]);
    assert.deepEqual(problemsOf('1: x\n"1": y\n'), [
      '2:1 the key "1" stands twice in the same map',
    ]);
  });

  test('things that are no objects', () => {
    const message = 'must be an object with apiVersion, kind and metadata';
    assert.deepEqual(problemsOf('just words'), [`1:1 ${message}`]);
    assert.deepEqual(problemsOf('[1]'), [`1:1 ${message}`]);
    assert.deepEqual(problemsOf('kind: List\nitems:\n- 5\n'), [`3:3 ${message}`]);
    assert.deepEqual(problemsOf('kind: List\nitems:\n- null\n'), [`3:3 ${message}`]);
  });

  test('values that JSON does not have', () => {
    assert.deepEqual(problemsOf('a: .nan\n'), ['1:4 JSON has no infinite numbers and no NaN']);
    assert.match(problemsOf('a: !!binary aGk=\n')[0] ?? '', /Unresolved tag/);
    assert.match(problemsOf('a: !Ref x\n')[0] ?? '', /Unresolved tag: !Ref/);
    assert.deepEqual(problemsOf('? {a: b}\n: c\n'), [
      '1:3 a key must be a word, a number or a boolean',
    ]);
    assert.deepEqual(problemsOf('a: *nowhere\n'), ['1:4 there is no anchor "nowhere"']);
    assert.deepEqual(problemsOf('a: {<<: 5}\n'), ['1:9 only maps can be merged with <<']);
  });

  test('texts over the limit on bytes', () => {
    const { documents, diagnostics } = read(`a: ${'x'.repeat(LIMITS.documentBytesMax)}`);
    assert.deepEqual(documents, []);
    assert.match(diagnostics[0]?.message ?? '', /bytes are more than the 16777216 of one file/);
  });

  test('nesting over the limit, in all its forms, fast', () => {
    const deep = 100_000;
    const indented = Array.from({ length: 2000 }, (_, n) => `${' '.repeat(n)}a:`).join('\n');
    const texts = [
      '['.repeat(deep),
      '{"a":'.repeat(deep),
      '- '.repeat(deep),
      indented,
      '? '.repeat(deep),
    ];
    for (const text of texts) {
      const { diagnostics, documents } = read(text);
      assert.deepEqual(documents, []);
      assert.match(diagnostics.at(-1)?.message ?? '', /nested deeper than 100 levels/);
    }
    const fits = `${'{"a":'.repeat(99)}{}${'}'.repeat(99)}`;
    assert.deepEqual(problemsOf(fits), []);
  });

  test('aliases that multiply', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let n = 1; n < 10; n++) {
      lines.push(
        `a${n}: &a${n} [${Array(10)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
      );
    }
    assert.match(problemsOf(lines.join('\n'))[0] ?? '', /more than 100 aliases/);
    const wide = `a: &a [${'x, '.repeat(30_000)}x]\nb: [*a, *a, *a, *a]\n`;
    assert.match(problemsOf(wide)[0] ?? '', /add up to more than 100000 values/);
    assert.match(problemsOf('a: &a\n  b: *a\n')[0] ?? '', /nested deeper|more than 100 aliases/);
    assert.match(problemsOf('a: &a\n  <<: *a\n')[0] ?? '', /nested deeper|more than 100 aliases/);
  });

  test('a great number of problems is told in part', () => {
    assert.equal(problemsOf('a: [\n---\n'.repeat(500)).length, 20);
  });
});

describe('whatever comes', () => {
  const pieces = fc.constantFrom(
    ...['a', 'b: ', '- ', '\n', '  ', '\t', '"', "'", '{', '}', '[', ']', ',', '&x ', '*x', '|\n'],
    ...[
      '>-\n',
      '#',
      '---\n',
      '...\n',
      '!!str ',
      '!t ',
      '? ',
      ': ',
      '<<: ',
      '%YAML 1.2\n',
      '\\',
      '\r',
    ],
    ...['0x1', '1e9', '~', '\u2028', '😀', '\0', '\uFEFF', 'kind: List\nitems:\n', '`', '@'],
  );

  test('no text makes it throw, and what is read is JSON', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        const { documents, diagnostics } = read(parts.join(''));
        for (const { value, positionOf } of documents) {
          assert.deepEqual(JSON.parse(JSON.stringify(value)), value);
          assert.ok(positionOf('a.b[0]').line >= 1);
        }
        for (const { line, column } of diagnostics) assert.ok(line >= 1 && column >= 1);
      }),
      { numRuns: 2000 },
    );
  });
});
