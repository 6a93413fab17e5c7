// npm run lint: formatting, lint rules and types. npm run format does what can be done without thinking.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a tool of ours to its end; its output goes where ours goes. */
function runTool(name: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(`${root}node_modules/.bin/${name}`, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code === 0));
  });
}

const write = process.argv.includes('--write');
const biome = ['check', '--error-on-warnings', '--max-diagnostics=50'];
const results = write
  ? [await runTool('biome', ['check', '--write'])]
  : await Promise.all([runTool('biome', biome), runTool('tsc', ['-p', root])]);
process.exitCode = results.every(Boolean) ? 0 : 1;
