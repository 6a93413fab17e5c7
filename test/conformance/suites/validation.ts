import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { caseNames } from '../case-names.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { isKnownKind, isOutOfScope, verdictOf } from '../verdict.ts';
import { objectOf, type ValidationRow } from './validation/objects.ts';

/** Objects and parts of objects → whether they are taken. */
export const suite: ConformanceSuite = {
  name: 'validation',
  run: async (directory) => {
    const text = readFileSync(join(directory, 'validation.json'), 'utf8');
    const unique = caseNames();
    return (JSON.parse(text) as ValidationRow[]).map((row) =>
      result(row, unique(`${row.release} ${row.suite} ${row.name}`.trim())),
    );
  },
};

function result(row: ValidationRow, name: string): CaseResult {
  if (isOutOfScope(row.kind)) {
    return { case: name, outcome: 'skipped', detail: `${row.kind} is out of scope` };
  }
  const object = objectOf(row);
  if (object === undefined || !isKnownKind(object.kind)) {
    return { case: name, outcome: 'failed', detail: `not built: ${row.kind} ${row.in_is}` };
  }
  const { valid, text } = verdictOf(object);
  if (valid === row.expect.valid) return { case: name, outcome: 'passed' };
  const detail = valid
    ? `taken, want: ${row.expect.errorContains || 'refused'}`
    : `refused: ${text}`;
  return { case: name, outcome: 'failed', detail };
}
