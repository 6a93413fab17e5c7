// An independent implementation of JSON Schema comes to the same verdict as ours, on values that
// fit the schemas of the kinds, or nearly so.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { checkSchema } from '#api/check-schema.ts';
import { KINDS } from '#api/kinds.ts';
import type { Schema } from '#api/schema.ts';

function messagesOf(schema: Schema, value: unknown): string[] {
  const messages: string[] = [];
  checkSchema(schema, value, '', {
    unknownFields: 'error',
    full: false,
    report: ({ field, message }) => void messages.push(`${field}: ${message}`),
  });
  return messages;
}

/** The schema as JSON Schema says it: closed objects, nulls where a field may be left out. */
function asJsonSchema(schema: Schema): Record<string, unknown> {
  const { properties, items, additionalProperties, required: _, ...rest } = schema;
  const free = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const required = schema.required ?? [];
  return {
    ...rest,
    ...(schema['x-kubernetes-int-or-string'] ? { type: ['integer', 'string'] } : {}),
    ...(properties === undefined
      ? {}
      : {
          additionalProperties: free,
          required,
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, member]) => {
              const optional = { anyOf: [{ type: 'null' }, asJsonSchema(member)] };
              return [name, required.includes(name) ? asJsonSchema(member) : optional];
            }),
          ),
        }),
    ...(items === undefined ? {} : { items: asJsonSchema(items) }),
    ...(additionalProperties === undefined
      ? {}
      : { additionalProperties: asJsonSchema(additionalProperties) }),
  };
}

/** Values that mostly fit a schema, and sometimes do not. */
function nearlyFitting(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
  const odd = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom(null, '', 0, -1, {}, []));
  const fitting = (): fc.Arbitrary<unknown> => {
    if (schema['x-kubernetes-int-or-string']) return fc.oneof(fc.integer(), fc.string());
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    switch (schema.type) {
      case 'string':
        return fc.constantFrom('a', 'abc', '10s', 'a-b', '1.2.3.4', 'x'.repeat(400));
      case 'integer':
        return fc.constantFrom(0, 1, 80, 70_000, 2 ** 31, 2 ** 33);
      case 'number':
        return fc.constantFrom(0, 1.5, 99);
      case 'boolean':
        return fc.boolean();
      case 'array':
        return fc.array(nearlyFitting(schema.items as Schema, depth + 1), { maxLength: 2 });
      default:
        return fittingObject(schema, depth);
    }
  };
  return fc.oneof({ weight: 40, arbitrary: fitting() }, { weight: 1, arbitrary: odd });
}

function fittingObject(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  if (schema.additionalProperties !== undefined) {
    const values = nearlyFitting(schema.additionalProperties, depth + 1);
    return fc.dictionary(fc.constantFrom('a', 'b', '80'), values, { maxKeys: 2 });
  }
  const members = Object.entries(schema.properties ?? {}).map(([name, member]) => [
    name,
    nearlyFitting(member, depth + 1),
  ]);
  const requiredKeys = (schema.required ?? []) as never[];
  const known = fc.record(Object.fromEntries(members), { requiredKeys });
  const extra = fc.oneof(
    { weight: 60, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constant({ unheard: 1 }) },
  );
  return fc.tuple(known, extra).map(([object, more]) => ({ ...object, ...more }));
}

describe('against another implementation of JSON Schema', () => {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const { kind, schema } of KINDS) {
    test(`the verdict on ${kind} is the same`, () => {
      const other = ajv.compile(asJsonSchema(schema));
      let accepted = 0;
      let refused = 0;
      const sameVerdict = (value: unknown): void => {
        const messages = messagesOf(schema, value);
        // Formats, unsafe numbers and lists told apart by fields are ours alone.
        const shared = messages.filter(
          (message) =>
            !/Duplicate value|type date-time|type byte|9007199254740991|2147483647/.test(message),
        );
        assert.equal(shared.length === 0, other(value), shared.join('\n'));
        if (shared.length === 0) accepted += 1;
        else refused += 1;
      };
      fc.assert(fc.property(nearlyFitting(schema), sameVerdict), { numRuns: 300, seed: 7 });
      assert.ok(accepted > 10 && refused > 10, `${accepted} accepted, ${refused} refused`);
    });
  }
});
