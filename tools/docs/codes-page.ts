import { ERROR_CODES } from '#base/error-codes.ts';
import { code, page, table } from './markdown.ts';

const INTRODUCTION = `
Every error of the world around us (disk, network, a peer, a file) carries one of these codes, in the log and in the
answers of the API. A code keeps its meaning for ever.
`;

/** docs/reference/codes.md */
export function codesPage(): string {
  const rows = Object.entries(ERROR_CODES)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, meaning]) => [code(name), meaning]);
  return page('Error codes', '`src/base/error-codes.ts`', [
    INTRODUCTION.trim(),
    table(['code', 'meaning'], rows),
  ]);
}
