import assert from 'node:assert/strict';
import { it } from 'node:test';
import { recordOfChange } from '#audit/object-change.ts';

const after = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'b' } };

it('the record of a change names who acted as its user, and nobody where nobody did', () => {
  const caller = { username: 'ana', groups: ['team1'] };
  const acted = { ...caller, actor: 'boss' };
  const record = recordOfChange({ caller: acted, verb: 'create', after }, 0);
  assert.deepEqual([record.user, record.actor], ['ana', 'boss']);
  assert.equal('actor' in recordOfChange({ caller, verb: 'create', after }, 0), false);
});
