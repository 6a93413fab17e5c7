/** The greatest count of `{…}`; of nested ones, of their product (RE2). */
const REPETITION_MAX = 1000;
/** Envoy takes programs of up to 32768 instructions from our bootstrap; this is an estimate. */
const INSTRUCTIONS_MAX = 24_000;

/** Letters and digits that may stand after a backslash. */
const ESCAPES = /^[afnrtvAbBCzdDsSwW0]/;
const ESCAPES_IN_SETS = /^[afnrtvdDsSwW0]/;
/** Classes of Unicode by general category, and the scripts that are met. */
const PROPERTY =
  /^[pP]([CLMNPSZ]|\{\^?([CLMNPSZ][a-z]?|Latin|Greek|Cyrillic|Han|Arabic|Hebrew|Hiragana|Katakana)\})/;
/** `\x41` or `\x{41}`. */
const HEX = /^x([0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,4}\})/;
const COUNT = /\{(\d+)(,(\d*))?\}/y;

/** Estimated instructions, on the generous side. */
const COST = { literal: 3, set: 12, property: 100 } as const;

/** What has been read of a group. */
interface Group {
  cost: number;
  /** The greatest product of counts within it. */
  repeats: number;
  /** Of the last part, which a count may follow. */
  lastCost: number;
  lastRepeats: number;
}

const newGroup = (): Group => ({ cost: 0, repeats: 1, lastCost: 0, lastRepeats: 1 });

/**
 * What RE2 would not take of an expression that JavaScript takes; undefined = nothing that is known
 * of. A proxy refuses the whole configuration that holds such an expression.
 */
export function re2Problem(expression: string): string | undefined {
  const groups: Group[] = [newGroup()];
  const current = (): Group => groups.at(-1) ?? newGroup();
  const add = (cost: number, repeats = 1): void => {
    const group = current();
    group.cost += cost;
    group.repeats = Math.max(group.repeats, repeats);
    group.lastCost = cost;
    group.lastRepeats = repeats;
  };
  for (let at = 0; at < expression.length; at += 1) {
    const letter = expression[at];
    if (letter === '\\') {
      const rest = expression.slice(at + 1, at + 20);
      const problem = escapeProblem(rest, ESCAPES);
      if (problem !== undefined) return problem;
      add(/^[pP]/.test(rest) ? COST.property : /^[dDsSwW]/.test(rest) ? COST.set : COST.literal);
      at += 1;
    } else if (letter === '[') {
      const end = endOfSet(expression, at);
      if (typeof end === 'string') return end;
      add(COST.set + (end - at) * COST.literal);
      at = end;
    } else if (letter === '(') groups.push(newGroup());
    else if (letter === ')') {
      const { cost, repeats } = groups.pop() ?? newGroup();
      if (groups.length === 0) groups.push(newGroup());
      add(cost + COST.literal, repeats);
    } else if (letter === '{') {
      const width = repeat(expression, at, current());
      if (typeof width === 'string') return width;
      at += width;
    } else add(letter === '.' ? COST.set : COST.literal);
  }
  const total = groups.reduce((sum, { cost }) => sum + cost, 0);
  return total > INSTRUCTIONS_MAX
    ? 'must be smaller: proxies do not take so large a one'
    : undefined;
}

/** Takes a count in; gives what is left to skip of it, or what is wrong with it. */
function repeat(expression: string, at: number, group: Group): number | string {
  COUNT.lastIndex = at;
  const [whole, min = '0', , max] = COUNT.exec(expression) ?? [];
  // As in RE2, what is no count is a text.
  if (whole === undefined) return 0;
  const count = Math.max(Number(min), Number(max ?? 0), 1);
  const repeats = group.lastRepeats * count;
  if (repeats > REPETITION_MAX)
    return `must not repeat a part more than ${REPETITION_MAX} times, one within another counted`;
  group.cost += group.lastCost * (count - 1);
  group.repeats = Math.max(group.repeats, repeats);
  return whole.length - 1;
}

/** Where a set in square brackets ends, or what is wrong with it. */
function endOfSet(expression: string, start: number): number | string {
  let at = start + 1;
  if (expression[at] === '^') at += 1;
  // A bracket that stands first is a member in RE2, and ends the set in JavaScript.
  if (expression[at] === ']') return 'must be a regular expression of RE2: write \\] in a set';
  for (; at < expression.length && expression[at] !== ']'; at += 1) {
    if (expression[at] !== '\\') continue;
    const problem = escapeProblem(expression.slice(at + 1, at + 20), ESCAPES_IN_SETS);
    if (problem !== undefined) return `${problem} in a set`;
    at += 1;
  }
  return at;
}

/** What is wrong with what stands after a backslash. */
function escapeProblem(rest: string, known: RegExp): string | undefined {
  const [letter = ''] = rest;
  const isKnown = !/[A-Za-z0-9]/.test(letter) || known.test(rest);
  if (isKnown || PROPERTY.test(rest) || HEX.test(rest)) return undefined;
  return `must be a regular expression of RE2, which has no \\${letter} like this`;
}
