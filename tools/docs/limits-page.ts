import { readFileSync } from 'node:fs';
import { LIMITS } from '#base/limits.ts';
import { code, page, table } from './markdown.ts';

const SOURCE = new URL('../../src/base/limits.ts', import.meta.url);
const ENTRY = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+):/g;

/** What the comment above each limit says. */
function comments(): ReadonlyMap<string, string> {
  const found = readFileSync(SOURCE, 'utf8').matchAll(ENTRY);
  return new Map(
    [...found].map(([, text = '', name = '']) => [
      name,
      text.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim(),
    ]),
  );
}

/** docs/reference/limits.md */
export function limitsPage(): string {
  const meanings = comments();
  const rows = Object.entries(LIMITS).map(([name, value]) => {
    const meaning = meanings.get(name);
    if (!meaning) throw new Error(`the limit ${name} has no comment in src/base/limits.ts`);
    return [code(name), value.toLocaleString('en'), meaning];
  });
  const introduction = 'What is over a limit is refused, with an error that names the limit.';
  return page('Limits', '`src/base/limits.ts`', [
    introduction,
    table(['limit', 'value', 'of what'], rows),
  ]);
}
