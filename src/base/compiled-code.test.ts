import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const COMPILED_CODE = fileURLToPath(new URL('compiled-code.ts', import.meta.url));

/** Files in the cache that a process left which loaded a module, and was killed after `last`. */
function leftBy(t: TestContext, last: string): number {
  const directory = temporaryDirectory(t);
  const cache = join(directory, 'cache');
  writeFileSync(join(directory, 'part.cjs'), 'exports.twice = (value) => value * 2;');
  const program = `
    import { createRequire, enableCompileCache } from 'node:module';
    enableCompileCache(${JSON.stringify(cache)});
    const { keepCompiledCode } = await import(${JSON.stringify(COMPILED_CODE)});
    createRequire(${JSON.stringify(`${directory}/`)})('./part.cjs').twice(2);
    ${last}
    // By another process: Node keeps the code when a process kills itself.
    process.getBuiltinModule('node:child_process').execSync('kill -9 ' + process.pid);
  `;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const env = { ...process.env, NODE_COMPILE_CACHE: undefined };
  const { signal, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  assert.equal(signal, 'SIGKILL', stderr);
  return readdirSync(cache, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
    .length;
}

describe('compiled code', () => {
  it('is there for the next start, however the process ends', (t) => {
    assert.ok(leftBy(t, 'keepCompiledCode();') > 0);
  });

  it('is lost with a process that is killed before it was kept', (t) => {
    assert.equal(leftBy(t, ''), 0);
  });
});
