import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { recordOfChange } from '#audit/object-change.ts';
import { LIMITS } from '#base/limits.ts';

const caller = { username: 'ann', groups: ['admins'] };
const object = (rest: object, metadata: object = {}, kind = 'AuthorizationPolicy') =>
  ({
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name: 'no', namespace: 'shop', resourceVersion: '1', ...metadata },
    ...rest,
  }) as ApiObject;
const fieldsOf = (before: ApiObject | undefined, after: ApiObject | undefined) =>
  recordOfChange({ caller, verb: 'update', ...(before && { before }), ...(after && { after }) }, 0)
    .fields;

describe('a record of a change', () => {
  it('says who did what to which object, and only the fields that differ', () => {
    const before = object({ spec: { action: 'DENY', rules: [{ to: [1] }, { to: [2] }] } });
    const after = object(
      { spec: { action: 'DENY', rules: [{ to: [1] }, { to: [3] }] }, status: { a: 1 } },
      { resourceVersion: '2', generation: 7, labels: { 'app.io/a': 'b' } },
    );
    const { user, groups, verb, kind, namespace, name, at, fields } = recordOfChange(
      { caller, verb: 'update', before, after },
      0,
    );
    assert.deepEqual(
      [user, groups, verb, kind, namespace, name, at],
      [
        'ann',
        ['admins'],
        'update',
        'AuthorizationPolicy',
        'shop',
        'no',
        '1970-01-01T00:00:00.000Z',
      ],
    );
    assert.deepEqual(fields, [
      { field: 'spec.rules[1].to[0]', before: '2', after: '3' },
      { field: 'metadata.labels', after: '{"app.io/a":"b"}' },
    ]);
  });

  it('of a new object has what it is, of one that is gone what it was', () => {
    const one = object({ spec: { action: 'DENY' } });
    assert.deepEqual(fieldsOf(undefined, one), [{ field: 'spec', after: '{"action":"DENY"}' }]);
    assert.deepEqual(fieldsOf(one, undefined), [{ field: 'spec', before: '{"action":"DENY"}' }]);
  });

  it('never holds the content of a Secret, nor the copy that kubectl keeps', () => {
    const secret = (value: string) => {
      const copy = `{"data":{"key":"${value}"}}`;
      const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': copy };
      return object({ data: { key: value } }, { annotations }, 'Secret');
    };
    const changes = [
      fieldsOf(undefined, secret('aGlkZGVu')),
      fieldsOf(secret('aGlkZGVu'), secret('b3RoZXI=')),
    ];
    assert.deepEqual(changes[1], [
      { field: 'data.key', before: '"(not recorded)"', after: '"(not recorded)"' },
    ]);
    assert.doesNotMatch(JSON.stringify(changes), /aGlkZGVu|b3RoZXI/);
  });

  it('does not hide what was done to a policy behind notes to it', () => {
    const notes = Array.from({ length: 2 * LIMITS.auditFieldsPerChangeMax }, (_, at) => [`n${at}`]);
    const annotations = (value: string) =>
      Object.fromEntries(notes.map(([key]) => [key, value] as const));
    const before = object({ spec: { action: 'DENY' } }, { annotations: annotations('a') });
    const after = object({ spec: { action: 'ALLOW' } }, { annotations: annotations('b') });
    assert.deepEqual(fieldsOf(before, after)[0], {
      field: 'spec.action',
      before: '"DENY"',
      after: '"ALLOW"',
    });
  });

  it('is bounded, and says what it leaves out', () => {
    const wide = (value: string) =>
      object({ spec: Object.fromEntries([...Array(500).keys()].map((key) => [`k${key}`, value])) });
    const { fields, fieldsLeftOut } = recordOfChange(
      { caller, verb: 'update', before: wide('a'), after: wide('b'.repeat(10_000)) },
      0,
    );
    assert.equal(fields.length, LIMITS.auditFieldsPerChangeMax);
    assert.equal(fieldsLeftOut, 500 - fields.length);
    assert.ok(JSON.stringify(fields).length < 300_000);
  });
});
