// The walk over a schema: every keyword accepts and refuses, nulls and unknown fields are left out.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkSchema } from '#api/check-schema.ts';
import type { Diagnostic } from '#api/diagnostic.ts';
import {
  anyObject,
  choice,
  decimal,
  flag,
  integer,
  integerOrText,
  list,
  map,
  object,
  type Schema,
  text,
} from '#api/schema.ts';

function run(schema: Schema, value: unknown, unknownFields: 'error' | 'warning' = 'error') {
  const found: Diagnostic[] = [];
  const report = (diagnostic: Diagnostic): void => void found.push(diagnostic);
  const kept = checkSchema(schema, value, 'spec', { unknownFields, full: false, report });
  return { kept, found, messages: found.map(({ field, message }) => `${field}: ${message}`) };
}

function takes(schema: Schema, ...values: readonly unknown[]): void {
  for (const value of values) {
    const { kept, messages } = run(schema, value);
    assert.deepEqual(messages, []);
    assert.equal(kept, value, 'nothing to leave out: the same value');
  }
}

function refuses(schema: Schema, value: unknown, ...messages: readonly string[]): void {
  assert.deepEqual(run(schema, value).messages, messages);
}

describe('types', () => {
  test('are compared, and only the type found is repeated', () => {
    const wrong = (wanted: string, found: string): string =>
      `spec: Invalid value: "${found}": spec in body must be of type ${wanted}: "${found}"`;
    takes(text('t'), '', 'x');
    refuses(text('t'), 1, wrong('string', 'integer'));
    takes(integer('i'), 0, -5);
    refuses(integer('i'), '1', wrong('integer', 'string'));
    refuses(integer('i'), 1.5, wrong('integer', 'number'));
    refuses(integer('i'), Number.NaN, wrong('integer', 'NaN'));
    takes(decimal('d'), 1, 1.5);
    refuses(decimal('d'), true, wrong('number', 'boolean'));
    takes(flag('f'), true, false);
    refuses(flag('f'), 'true', wrong('boolean', 'string'));
    takes(list('l', text('t')), [], ['a']);
    refuses(list('l', text('t')), {}, wrong('array', 'object'));
    takes(object('o', {}), {});
    refuses(object('o', {}), [], wrong('object', 'array'));
    refuses(object('o', {}), null, wrong('object', 'null'));
    takes(integerOrText('p'), 80, 'http');
    refuses(integerOrText('p'), true, wrong('integer,string', 'boolean'));
  });

  test('a number or boolean where text is wanted comes with the hint to quote it', () => {
    assert.equal(run(text('t'), 1.1).found[0]?.remedy, 'write it in quotes');
    assert.equal(run(text('t'), true).found[0]?.remedy, 'write it in quotes');
    assert.equal(run(text('t'), {}).found[0]?.remedy, undefined);
  });
});

describe('bounds', () => {
  test('of strings', () => {
    const bounded = text('t', { minLength: 1, maxLength: 3, pattern: '^[a-z]*$' });
    takes(bounded, 'abc');
    refuses(bounded, '', 'spec: Invalid value: "": spec in body should be at least 1 chars long');
    refuses(bounded, 'abcd', 'spec: Too long: may not be more than 3 bytes');
    takes(text('t', { maxLength: 3 }), '😀😀😀');
    assert.equal(run(text('t', { maxLength: 3 }), '😀😀😀😀').found.length, 1);
    refuses(bounded, 'A', `spec: Invalid value: "A": spec in body should match '^[a-z]*$'`);
  });

  test('of enums: the accepted words are named, and the near one is suggested', () => {
    const mode = choice('m', ['DISABLE', 'STRICT']);
    takes(mode, 'STRICT');
    const message = 'Unsupported value: "STRIKT": supported values: "DISABLE", "STRICT"';
    refuses(mode, 'STRIKT', `spec: ${message}`);
    assert.equal(run(mode, 'STRIKT').found[0]?.remedy, 'did you mean "STRICT"?');
    assert.equal(run(mode, 'MAYBE').found[0]?.remedy, undefined);
  });

  test('of numbers', () => {
    const bounded = integer('i', { minimum: 1, maximum: 5 });
    takes(bounded, 1, 5);
    refuses(
      bounded,
      0,
      'spec: Invalid value: 0: spec in body should be greater than or equal to 1',
    );
    refuses(bounded, 6, 'spec: Invalid value: 6: spec in body should be less than or equal to 5');
    takes(integer('i', { format: 'int32' }), 2 ** 31 - 1);
    assert.equal(run(integer('i', { format: 'int32' }), 2 ** 31).found.length, 1);
    assert.equal(run(integer('i'), 2 ** 53).found.length, 1);
    takes(decimal('d'), 1e300);
  });

  test('of lists', () => {
    const bounded = list('l', text('t'), { minItems: 1, maxItems: 2 });
    takes(bounded, ['a'], ['a', 'b']);
    refuses(bounded, [], 'spec: Invalid value: 0: spec in body should have at least 1 items');
    refuses(bounded, ['a', 'b', 'c'], 'spec: Too many: 3: must have at most 2 items');
    refuses(
      list('l', text('t')),
      ['a', 1],
      'spec[1]: Invalid value: "integer": spec[1] in body must be of type string: "integer"',
    );
  });

  test('of maps', () => {
    const bounded = map('m', integer('i'), { minProperties: 1, maxProperties: 2 });
    takes(bounded, { a: 1 }, { a: 1, b: 2 });
    refuses(bounded, {}, 'spec: Invalid value: 0: spec in body should have at least 1 properties');
    refuses(bounded, { a: 1, b: 2, c: 3 }, 'spec: Too many: 3: must have at most 2 items');
    refuses(
      bounded,
      { 'a/b': 'x' },
      'spec[a/b]: Invalid value: "string": spec[a/b] in body must be of type integer: "string"',
    );
  });

  test('of formats; base64 values are never repeated', () => {
    takes(
      text('t', { format: 'date-time' }),
      '2026-11-22T03:05:00Z',
      '2026-11-22T03:05:00.1+02:00',
    );
    assert.equal(run(text('t', { format: 'date-time' }), 'soon').found.length, 1);
    assert.equal(run(text('t', { format: 'date-time' }), '2026-13-45T00:00:00Z').found.length, 1);
    takes(text('t', { format: 'byte' }), '', 'aGk=', 'aGkh', 'aGk\n=');
    const { messages } = run(text('t', { format: 'byte' }), 'hunter2!');
    assert.equal(messages.length, 1);
    assert.doesNotMatch(messages.join(), /hunter2/);
  });
});

describe('lists whose items are told apart', () => {
  test('a set holds nothing twice', () => {
    const set = list('l', text('t'), { 'x-kubernetes-list-type': 'set' });
    takes(set, ['a', 'b']);
    refuses(set, ['a', 'b', 'a'], 'spec[2]: Duplicate value: "a"');
  });

  test('a map by fields counts a left-out field with its default', () => {
    const ports = list(
      'l',
      object('p', {
        port: integer('i'),
        protocol: choice('c', ['TCP', 'UDP'], { default: 'TCP' }),
      }),
      { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['port', 'protocol'] },
    );
    takes(ports, [{ port: 53 }, { port: 53, protocol: 'UDP' }]);
    refuses(
      ports,
      [{ port: 53 }, { port: 53, protocol: 'TCP' }],
      'spec[1]: Duplicate value: {"port":53,"protocol":"TCP"}',
    );
  });
});

describe('fields', () => {
  const schema = object(
    'o',
    {
      name: text('t'),
      mtls: object('m', { mode: text('t') }),
      when: flag('f', { nullable: true }),
    },
    { required: ['name'] },
  );

  test('required ones must be there; a null is as good as nothing', () => {
    takes(schema, { name: '' });
    refuses(schema, {}, 'spec.name: Required value');
    refuses(schema, { name: null }, 'spec.name: Required value');
  });

  test('nulls are left out, unless null is a value there', () => {
    assert.deepEqual(run(schema, { name: 'a', mtls: null, when: null }), {
      kept: { name: 'a', when: null },
      found: [],
      messages: [],
    });
    assert.equal(run(map('m', text('t')), { a: null }).found.length, 1);
    assert.equal(run(list('l', text('t')), [null]).found.length, 1);
  });

  test('unknown ones are refused with their path and what may be meant', () => {
    const { found, kept } = run(schema, { name: 'a', mtlss: {}, mode: 'x', other: 1 });
    assert.deepEqual(
      found.map(({ message, remedy, reason }) => [message, remedy, reason]),
      [
        ['unknown field "spec.mtlss"', 'did you mean "spec.mtls"?', 'FieldUnknown'],
        ['unknown field "spec.mode"', 'did you mean "spec.mtls.mode"?', 'FieldUnknown'],
        ['unknown field "spec.other"', undefined, 'FieldUnknown'],
      ],
    );
    assert.deepEqual(kept, { name: 'a' });
  });

  test('unknown ones are warned of and left out when asked', () => {
    const { found, kept } = run(schema, { name: 'a', extra: 1 }, 'warning');
    assert.deepEqual(
      found.map(({ severity }) => severity),
      ['warning'],
    );
    assert.deepEqual(kept, { name: 'a' });
  });

  test('names every object has by inheritance are unknown like others', () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      const value = JSON.parse(`{"name": "a", "${name}": {"name": 1}}`);
      const { found, kept } = run(schema, value);
      assert.deepEqual(
        found.map(({ message }) => message),
        [`unknown field "spec.${name}"`],
      );
      assert.deepEqual(kept, { name: 'a' });
    }
  });

  test('a key __proto__ of a map stays a key', () => {
    const value = JSON.parse('{"labels": {"__proto__": "x"}, "gone": 1}');
    const { kept } = run(object('o', { labels: map('m', text('t')) }), value, 'warning');
    assert.equal(JSON.stringify(kept), '{"labels":{"__proto__":"x"}}');
    assert.equal(Object.getPrototypeOf(kept), Object.prototype);
  });

  test('the content of a free object is kept as it is', () => {
    takes(anyObject('a'), { x: { y: [null, 1] } });
  });
});
