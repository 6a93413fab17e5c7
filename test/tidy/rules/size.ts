import type { Project, Violation } from '../project.ts';

const FILE_LINES_GOAL = 300;
const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;

/**
 * Files stay under 300 lines, and under 500 in any case. `known` lists those that are over 300
 * today with their length: they may shrink, not grow, and leave the list when they are short
 * enough.
 */
export function checkFileLengths(
  project: Project,
  known: Readonly<Record<string, number>>,
): Violation[] {
  const violations = project.code.flatMap(({ path, lines }) => {
    const count = lines.length - 1;
    const bound = Math.min(known[path] ?? FILE_LINES_GOAL, FILE_LINES_MAX);
    if (count > bound) return [{ path, line: 0, message: `${count} lines; at most ${bound}` }];
    if (path in known && count < bound)
      return [{ path, line: 0, message: `${count} lines by now: lower it in ratchet.json` }];
    return [];
  });
  const present = new Set(project.code.map((file) => file.path));
  const gone = Object.keys(known).filter((path) => !present.has(path));
  return [
    ...violations,
    ...gone.map((path) => ({ path, line: 0, message: 'is gone: take it out of ratchet.json' })),
  ];
}

/**
 * Functions stay under 70 lines; the callbacks of test() and describe() in them are not counted.
 */
export function checkFunctionLengths(project: Project): Violation[] {
  return project.code.flatMap(({ path, facts }) =>
    facts.functions
      .filter(({ lineCount }) => lineCount > FUNCTION_LINES_MAX)
      .map(({ name, line, lineCount }) => ({
        path,
        line,
        message: `${name} has ${lineCount} lines; at most ${FUNCTION_LINES_MAX}`,
      })),
  );
}

/**
 * Comments stay within 100 columns; `npm run format` wraps them. Code is wrapped by the formatter,
 * and what it leaves longer (a literal, an import) cannot be broken.
 */
export function checkLineLengths(project: Project): Violation[] {
  return project.code.flatMap(({ path, lines }) =>
    lines.flatMap((text, index) => {
      const comment =
        /^\s*(?:\/\*\*|\*|\/\/) (.*)$/.exec(text)?.[1] ?? / \/\/ (.*)$/.exec(text)?.[1];
      if (text.length <= COLUMNS_MAX || !comment?.trim().includes(' ')) return [];
      return [{ path, line: index + 1, message: `${text.length} columns; at most ${COLUMNS_MAX}` }];
    }),
  );
}
