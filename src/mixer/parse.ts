import { LIMITS } from '#base/limits.ts';
import type { Expression, ExpressionProblem } from '#mixer/expression.ts';
import { readTokens, type Token } from '#mixer/tokens.ts';

/** Operators from weakest to strongest, as in Go; all of them bind to the left. */
const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<', '<=', '>', '>='],
  ['|', '+'],
];

/** Ends reading at the first problem; never leaves this file. */
class Unreadable extends Error {
  readonly problem: ExpressionProblem;

  constructor(problem: ExpressionProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** An expression, or what is wrong with it. */
export type Parsed = { readonly expression: Expression } | { readonly problem: ExpressionProblem };

/** Reads an expression of Mixer's language (Istio 1.5, "Expression Language"). Pure and total. */
export function parseExpression(source: string): Parsed {
  const lengthMax = LIMITS.mixerExpressionLengthMax;
  if (source.length > lengthMax)
    return problem(lengthMax, `an expression has at most ${lengthMax} characters`);
  const tokens = readTokens(source);
  if ('message' in tokens) return { problem: tokens };
  try {
    return { expression: new Parser(tokens).whole() };
  } catch (error) {
    if (error instanceof Unreadable) return { problem: error.problem };
    throw error;
  }
}

function problem(column: number, message: string): Parsed {
  return { problem: { column, message } };
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Expression {
    const expression = this.#binary(0);
    const { kind, text, column } = this.#peek();
    if (kind !== 'end') throw unreadable(column, `\`${text}\` was not expected here`);
    return expression;
  }

  #binary(level: number): Expression {
    const signs = LEVELS[level];
    if (signs === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (let sign = this.#takeOf(signs); sign; sign = this.#takeOf(signs)) {
      const right = this.#binary(level + 1);
      left = { kind: 'call', name: sign.text, args: [left, right], column: sign.column };
    }
    return left;
  }

  /** A whole expression within another one. */
  #inner(): Expression {
    return this.#nested(() => this.#binary(0));
  }

  #unary(): Expression {
    const not = this.#takeOf(['!']);
    if (not) {
      const args = [this.#nested(() => this.#unary())];
      return { kind: 'call', name: '!', args, column: not.column };
    }
    return this.#postfix(this.#primary());
  }

  /** `a[b]` and `a.startsWith(b)`. */
  #postfix(first: Expression): Expression {
    let target = first;
    for (;;) {
      const sign = this.#takeOf(['[', '.']);
      if (!sign) return target;
      const { column } = sign;
      if (sign.text === '[') {
        const key = this.#inner();
        this.#expect(']');
        target = { kind: 'call', name: '[]', args: [target, key], column };
        continue;
      }
      const method = this.#peek();
      if (method.kind !== 'name') throw unreadable(column, 'a name must come after the dot');
      this.#at += 1;
      this.#expect('(');
      const args = [target, ...this.#arguments()];
      target = { kind: 'call', name: method.text, args, column: method.column };
    }
  }

  #primary(): Expression {
    const token = this.#peek();
    const { kind, text, column } = token;
    this.#at += 1;
    if (kind === 'text') return { kind: 'literal', type: 'STRING', value: text, column };
    if (kind === 'integer' || kind === 'decimal') return numberOf(token, '');
    if (kind === 'name') return this.#named(token);
    if (kind === 'sign' && text === '-') {
      const number = this.#peek();
      if (number.kind === 'integer' || number.kind === 'decimal') {
        this.#at += 1;
        return numberOf({ ...number, column }, '-');
      }
    }
    if (kind === 'sign' && text === '(') {
      const inner = this.#inner();
      this.#expect(')');
      return inner;
    }
    if (kind === 'end') throw unreadable(column, 'the expression ends too early');
    throw unreadable(column, `\`${text}\` was not expected here`);
  }

  /** A boolean, a function, or an attribute by all its parts but a method. */
  #named({ text, column }: Token): Expression {
    if (text === 'true' || text === 'false')
      return { kind: 'literal', type: 'BOOL', value: text === 'true', column };
    if (this.#takeOf(['('])) return { kind: 'call', name: text, args: this.#arguments(), column };
    let name = text;
    while (this.#peek().text === '.' && this.#peek().kind === 'sign') {
      const part = this.#tokens[this.#at + 1];
      const after = this.#tokens[this.#at + 2];
      const isMethod = after?.kind === 'sign' && after.text === '(';
      if (part?.kind !== 'name' || isMethod) break;
      name += `.${part.text}`;
      this.#at += 2;
    }
    return { kind: 'attribute', name, column };
  }

  #arguments(): Expression[] {
    if (this.#takeOf([')'])) return [];
    const args = [this.#inner()];
    while (this.#takeOf([','])) args.push(this.#inner());
    this.#expect(')');
    return args;
  }

  #nested<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > LIMITS.mixerExpressionDepthMax) {
      const message = `an expression has at most ${LIMITS.mixerExpressionDepthMax} levels`;
      throw unreadable(this.#peek().column, message);
    }
    const result = read();
    this.#depth -= 1;
    return result;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '', column: 1 };
  }

  #takeOf(signs: readonly string[]): Token | undefined {
    const token = this.#peek();
    if (token.kind !== 'sign' || !signs.includes(token.text)) return undefined;
    this.#at += 1;
    return token;
  }

  #expect(sign: string): void {
    const { column, kind, text } = this.#peek();
    const found = kind === 'end' ? 'the end' : `\`${text}\``;
    if (!this.#takeOf([sign])) throw unreadable(column, `expected \`${sign}\`, found ${found}`);
  }
}

function numberOf({ kind, text, column }: Token, minus: '' | '-'): Expression {
  const value = minus === '' ? Number(text) : -Number(text);
  const isInteger = kind === 'integer';
  if (isInteger ? !Number.isSafeInteger(value) : !Number.isFinite(value))
    throw unreadable(column, 'the number is too large');
  return { kind: 'literal', type: isInteger ? 'INT64' : 'DOUBLE', value, column };
}

function unreadable(column: number, message: string): Unreadable {
  return new Unreadable({ column, message });
}
