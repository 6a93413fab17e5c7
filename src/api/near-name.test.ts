// What a user most likely meant: found for slips, and nothing is made up for other words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearField } from '#api/near-field.ts';
import { nearName } from '#api/near-name.ts';
import { list, object, text } from '#api/schema.ts';

const FIELDS = ['selector', 'action', 'rules', 'provider', 'from', 'to'];

test('a slip of the keys is recognized: swapped, doubled, left-out and wrong letters, case', () => {
  assert.equal(nearName('form', FIELDS), 'from');
  assert.equal(nearName('ruless', FIELDS), 'rules');
  assert.equal(nearName('selectr', FIELDS), 'selector');
  assert.equal(nearName('axtion', FIELDS), 'action');
  assert.equal(nearName('RULES', FIELDS), 'rules');
});

test('the nearest of several is taken', () => {
  assert.equal(nearName('notPath', ['notPorts', 'notPaths', 'notHosts']), 'notPaths');
});

test('another word is near to nothing', () => {
  assert.equal(nearName('colour', FIELDS), undefined);
  assert.equal(nearName('x', FIELDS), undefined);
  assert.equal(nearName('', FIELDS), undefined);
});

test('a very long word is not compared', () => {
  assert.equal(nearName('r'.repeat(100_000), ['r'.repeat(100_000)]), undefined);
});

test('a field in the wrong place is found further inside, through lists', () => {
  const schema = object('s', {
    mtls: object('m', { mode: text('t') }),
    rules: list('l', object('r', { from: text('f') })),
  });
  assert.equal(nearField(schema, 'mode'), 'mtls.mode');
  assert.equal(nearField(schema, 'from'), 'rules[].from');
  assert.equal(nearField(schema, 'ruls'), 'rules');
  assert.equal(nearField(schema, 'elsewhere'), undefined);
});
