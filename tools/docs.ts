// npm run docs: writes docs/reference anew from the tables in the code.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { referencePages } from './docs/reference.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const [path, text] of await referencePages()) {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  writeFileSync(join(root, path), text);
  process.stderr.write(`docs: wrote ${path}\n`);
}
