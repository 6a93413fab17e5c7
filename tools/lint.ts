// npm run lint: formatting, lint rules and types. npm run format mends what needs no thought.
import { spawn } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wrapComments } from './lint/wrap-comments.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CODE = '{src,test,bench,tools,samples,bin}/**/*.{ts,js}';

/** Runs a tool of ours to its end; its output goes where ours goes. */
function runTool(name: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules/.bin', name), args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code === 0));
  });
}

/** Wraps the comments of every file. */
function wrapAll(): void {
  for (const path of globSync(CODE, { cwd: root })) {
    const text = readFileSync(join(root, path), 'utf8');
    const wrapped = wrapComments(text);
    if (wrapped !== text) writeFileSync(join(root, path), wrapped);
  }
}

async function main(): Promise<boolean> {
  if (process.argv.includes('--write')) {
    wrapAll();
    return runTool('biome', ['check', '--write']);
  }
  const checks = [
    runTool('biome', ['check', '--error-on-warnings', '--max-diagnostics=50']),
    runTool('tsc', ['-p', root]),
  ];
  return (await Promise.all(checks)).every(Boolean);
}

process.exitCode = (await main()) ? 0 : 1;
