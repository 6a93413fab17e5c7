import { parseDurationMs } from '#base/duration.ts';
import { ATTRIBUTE_NAMES, attributeNamed } from '#mixer/attributes.ts';
import type { Expression, ExpressionProblem, ValueType } from '#mixer/expression.ts';
import { FUNCTIONS, type PlainFunction } from '#mixer/functions.ts';

/** Types of attributes that an attributemanifest declares beside the vocabulary. */
export type DeclaredAttributes = ReadonlyMap<string, ValueType>;

/** The type of an expression, or what is wrong with it. */
export type Typed =
  | { readonly type: ValueType }
  | {
      readonly problem: ExpressionProblem;
      /** An attribute that is neither in the vocabulary nor declared. */
      readonly undeclared?: string;
    };

/** Functions that `FUNCTIONS` does not have, by their types. */
const SPECIAL: Readonly<Record<string, Pick<PlainFunction, 'parameters' | 'result'>>> = {
  '&&': { parameters: ['BOOL', 'BOOL'], result: 'BOOL' },
  '||': { parameters: ['BOOL', 'BOOL'], result: 'BOOL' },
  '|': { parameters: ['T', 'T'], result: 'T' },
  conditional: { parameters: ['BOOL', 'T', 'T'], result: 'T' },
  '[]': { parameters: ['STRING_MAP', 'STRING'], result: 'STRING' },
  emptyStringMap: { parameters: [], result: 'STRING_MAP' },
  matches: { parameters: ['STRING', 'STRING'], result: 'BOOL' },
};

/** The names of all functions that are called by a name. */
const NAMES = [...FUNCTIONS.keys(), ...Object.keys(SPECIAL)].filter((name) => /^\w+$/.test(name));

/** The type of an expression: every attribute must be known, every operator get what it takes. */
export function typeOf(expression: Expression, declared: DeclaredAttributes): Typed {
  if (expression.kind === 'literal') return { type: expression.type };
  if (expression.kind === 'call') return typeOfCall(expression, declared);
  const { name, column } = expression;
  const type = attributeNamed(name)?.type ?? declared.get(name);
  if (type !== undefined) return { type };
  const near = nearAttribute(name);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return { problem: { column, message: `there is no attribute ${name}${hint}` }, undeclared: name };
}

/** The attribute that is most likely meant: of the same group, with the last part alike. */
function nearAttribute(name: string): string | undefined {
  const [group, ...rest] = name.split('.');
  const last = rest.at(-1)?.toLowerCase() ?? '';
  const ofGroup = ATTRIBUTE_NAMES.filter((known) => known.startsWith(`${group}.`));
  const isNear = (known: string) => {
    const end = known.slice(known.lastIndexOf('.') + 1).toLowerCase();
    return end.startsWith(last) || last.startsWith(end);
  };
  return last === '' ? undefined : ofGroup.find(isNear);
}

function typeOfCall(
  call: Expression & { readonly kind: 'call' },
  declared: DeclaredAttributes,
): Typed {
  const { name, args, column } = call;
  const wrong = (message: string, at = column): Typed => ({ problem: { column: at, message } });
  const known = FUNCTIONS.get(name) ?? (Object.hasOwn(SPECIAL, name) ? SPECIAL[name] : undefined);
  if (known === undefined)
    return wrong(`there is no function ${name}; there are ${NAMES.join(', ')}`);
  if (args.length !== known.parameters.length)
    return wrong(`${name} takes ${known.parameters.length} arguments, here are ${args.length}`);
  const types: ValueType[] = [];
  for (const arg of args) {
    const typed = typeOf(arg, declared);
    if ('problem' in typed) return typed;
    types.push(typed.type);
  }
  const any = typeOfAny(args, types, known.parameters);
  if (any === 'different') {
    const found = types.filter((_, at) => known.parameters[at] === 'T').join(' and ');
    return wrong(`\`${name}\` takes values of one type, here are ${found}`);
  }
  for (const [at, parameter] of known.parameters.entries()) {
    if (parameter === 'T' || parameter === types[at]) continue;
    return wrong(`\`${name}\` takes ${parameter} here, this is ${types[at]}`, args[at]?.column);
  }
  const { types: taken } = known as PlainFunction;
  if (any !== undefined && taken !== undefined && !taken.includes(any))
    return wrong(`\`${name}\` does not take values of type ${any}`);
  return constantProblem(call) ?? { type: known.result === 'T' ? (any ?? 'STRING') : known.result };
}

/** The type that stands for `T`; a text that is a duration counts as one beside durations. */
function typeOfAny(
  args: readonly Expression[],
  types: readonly ValueType[],
  parameters: PlainFunction['parameters'],
): ValueType | 'different' | undefined {
  const places = [...types.keys()].filter((at) => parameters[at] === 'T');
  const found = new Set(places.map((at) => types[at]));
  if (found.size <= 1) return [...found][0];
  const texts = places.filter((at) => types[at] === 'STRING');
  const areDurations = texts.every((at) => isDuration(args[at]));
  return found.size === 2 && found.has('DURATION') && areDurations ? 'DURATION' : 'different';
}

function isDuration(expression: Expression | undefined): boolean {
  if (expression?.kind !== 'literal') return false;
  return parseDurationMs(String(expression.value)) !== undefined;
}

/** `ip("x")`: a constant that its function does not take. */
function constantProblem({ name, args }: Expression & { readonly kind: 'call' }) {
  const [only, ...more] = args;
  if (only?.kind !== 'literal' || more.length > 0) return undefined;
  if (FUNCTIONS.get(name)?.apply(only.value) !== undefined) return undefined;
  const { column } = only;
  return { problem: { column, message: `${JSON.stringify(only.value)} is not good for ${name}` } };
}
