import { invalid, required, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { regexProblem } from '#api/regex.ts';
import type { Expression, ValueType } from '#mixer/expression.ts';
import { conditionProblems, readExpression, valueProblems } from '#mixer/read-expression.ts';
import { patternWithin } from '#mixer/reference.ts';

/** Reports what is wrong with an expression that is to have one of these types. */
export function checkExpression(
  source: string | undefined,
  types: readonly ValueType[],
  field: string,
  report: Report,
): void {
  if (source === undefined || source === '') {
    report(required(field, 'an expression such as source.principal'));
    return;
  }
  const read = readExpression(source, types);
  if ('problem' in read) {
    const { problem, undeclared } = read;
    const where = `at column ${problem.column}: ${problem.message}`;
    if (undeclared === undefined) report(invalid(field, source, where));
    else report(warning(field, `${where}; unless an attributemanifest declares it, ${CLOSED}`));
    return;
  }
  const { expression, type } = read;
  const problems = type === 'BOOL' ? conditionProblems([expression]) : valueProblems(expression);
  for (const { column, message } of problems) {
    report(violates(field, `at column ${column}: ${message}`, REMEDY));
  }
  for (const { column, pattern } of patternsIn(expression)) {
    const problem = patternProblem(pattern);
    if (problem !== undefined) report(violates(field, `at column ${column}: ${problem}`));
  }
}

const CLOSED = 'rules with it deny all that their other conditions cover';
const REMEDY = 'use what the proxy of the server knows: docs/guide/mixer.md lists it';

/** What the evaluator, which is JavaScript, reads in another way than Envoy. */
const READ_DIFFERENTLY = /\\[pPzACa]|\\x\{|\[:/;

/** What is wrong with a regular expression that may match anywhere; undefined = nothing. */
export function patternProblem(pattern: string): string | undefined {
  if (READ_DIFFERENTLY.test(pattern))
    return 'must do without \\p, \\x{…}, \\A, \\z and [:…:]: write a set of characters';
  return regexProblem(patternWithin(pattern));
}

/** The regular expressions that are written in an expression. */
function patternsIn(
  expression: Expression,
): readonly { readonly column: number; readonly pattern: string }[] {
  if (expression.kind !== 'call') return [];
  const inner = expression.args.flatMap(patternsIn);
  const [first] = expression.args;
  if (expression.name !== 'matches' || first?.kind !== 'literal') return inner;
  return [{ column: first.column, pattern: String(first.value) }, ...inner];
}
