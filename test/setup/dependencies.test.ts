// The set-up installs what the lock file says, once, and every failure of npm names the way out.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ensureDependencies } from '../../tools/setup/dependencies.js';
import { type SetupCheckout, setupCheckout } from './checkout.ts';

const ensure = ({ root, env, report }: SetupCheckout): Promise<boolean> =>
  ensureDependencies({ root, env, report });

/** An npm that notes that it was called. */
function addNpm(checkout: SetupCheckout, then = ''): string {
  const calls = join(checkout.root, 'npm-calls');
  const note = `require('node:fs').appendFileSync(${JSON.stringify(calls)}, process.argv[2] + ' ');`;
  checkout.addCommand('npm', `${note}${then}`);
  return calls;
}

const npmThatFails = (stderr: string): string =>
  `console.error(${JSON.stringify(stderr)}); process.exit(1);`;

describe('the dependencies', () => {
  test('are installed once, and again when the lock file changes', async (t) => {
    const checkout = setupCheckout(t);
    const calls = addNpm(checkout);
    assert.equal(await ensure(checkout), true);
    assert.equal(await ensure(checkout), false);
    assert.equal(readFileSync(calls, 'utf8'), 'ci ');
    appendFileSync(join(checkout.root, 'package-lock.json'), '\n');
    assert.equal(await ensure(checkout), true);
    assert.equal(readFileSync(calls, 'utf8'), 'ci ci ');
  });

  test('count as missing after an installation that failed', async (t) => {
    const checkout = setupCheckout(t);
    addNpm(checkout, npmThatFails('npm error something else'));
    await assert.rejects(ensure(checkout), {
      message: /npm ci ended with code 1\n {2}- the lines above are from npm/,
    });
    assert.equal(existsSync(join(checkout.root, 'node_modules/.bulwark/dependencies')), false);
    addNpm(checkout);
    assert.equal(await ensure(checkout), true);
  });

  test('of another checkout are left alone, also when they are linked to', async (t) => {
    const [other, checkout] = [setupCheckout(t), setupCheckout(t)];
    const calls = addNpm(checkout);
    const modules = join(other.root, 'node_modules');
    mkdirSync(modules, { recursive: true });
    rmSync(join(checkout.root, 'node_modules'), { recursive: true, force: true });
    symlinkSync(modules, join(checkout.root, 'node_modules'));
    await assert.rejects(ensure(checkout), {
      message: /node_modules is a link.*\n {2}- remove the link/,
    });
    assert.equal(existsSync(calls), false);
  });

  test('need npm, and the message says so', async (t) => {
    await assert.rejects(ensure(setupCheckout(t)), {
      message: /npm was not found\n {2}- install Node\.js 20 or newer together with npm/,
    });
  });

  for (const [stderr, remedy] of [
    ['npm error code ENOTFOUND', /check the network, or the proxy settings/],
    ['npm error code ENOSPC', /the disk is full/],
    ['npm error code EACCES', /not writable for this user/],
  ] as const) {
    test(`name the way out of ${stderr}`, async (t) => {
      const checkout = setupCheckout(t);
      addNpm(checkout, npmThatFails(stderr));
      await assert.rejects(ensure(checkout), { message: remedy });
    });
  }
});
