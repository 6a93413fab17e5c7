// The demo as a newcomer runs it: everything holds, two at once do not disturb each other, and
// nothing is left.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '../kit/child-process.ts';
import { processTree } from '../kit/processes.ts';
import { SecondOpinion } from '../kit/second-opinion.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const DEMO = fileURLToPath(new URL('../../tools/demo.ts', import.meta.url));
const DEMO_MS_MAX = 400_000;

/** What `npm run demo -- --json` must list, in this order. */
const NAMES = [
  'frontend-to-backend-allowed',
  'backend-to-datastore-allowed',
  'frontend-to-datastore-denied',
  'plaintext-to-strict-refused',
  'foreign-ca-refused',
  'wrong-server-identity-refused',
  'policy-change-on-open-connection',
  'policy-change-back',
  'rotation-under-load',
  'server-killed-traffic-goes-on',
  'server-restarted-nothing-lost',
  'identities-listed',
  'revoked-peer-off',
  'root-rotated-under-load',
];

function startDemo(
  test: TestContext,
  args: readonly string[],
  directory: string,
  env: Readonly<Record<string, string>> = {},
): ManagedProcess {
  const demo = new ManagedProcess({
    name: 'demo',
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', DEMO, ...args],
    env: { TMPDIR: directory, NO_COLOR: '1', ...env },
  });
  test.after(() => demo.stop());
  return demo;
}

async function runToEnd(test: TestContext): Promise<void> {
  const directory = temporaryDirectory(test);
  const opinion = new SecondOpinion();
  test.after(() => opinion.close());
  const demo = startDemo(test, ['--json'], directory, opinion.env);
  await demo.ended;
  assert.equal(demo.exit?.code, 0, demo.tail(80));
  const report = JSON.parse(demo.lines.join('\n')) as {
    readonly checks: readonly { name: string; ok: boolean; detail: string; ms: number }[];
  };
  assert.deepEqual(
    report.checks.map(({ name }) => name),
    NAMES,
  );
  for (const { name, ok, detail, ms } of report.checks) {
    assert.ok(ok && detail !== '' && ms >= 0, name);
  }
  assert.deepEqual(readdirSync(directory), [], 'nothing is left on disk');
  const signed = await opinion.verify();
  assert.ok(signed.filter(({ kind }) => kind === 'leaf').length > 5, 'others verified the leaves');
}

describe('the demo', { timeout: DEMO_MS_MAX }, () => {
  it('holds, also with another one at the same time', async (t) => {
    await Promise.all([runToEnd(t), runToEnd(t)]);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`leaves nothing when it is ended by ${signal} half way`, async (t) => {
      const directory = temporaryDirectory(t);
      const demo = startDemo(t, [], directory);
      await demo.waitForLine((line) => line.includes('three applications') || undefined, 60_000);
      const pids = processTree(demo.pid);
      assert.ok(pids.length > 5, `${pids.length} processes run`);
      demo.signal(signal);
      await demo.ended;
      assert.equal(demo.exit?.code, 130, demo.tail());
      assert.deepEqual(
        pids.flatMap((pid) => processTree(pid)),
        [],
      );
      assert.deepEqual(readdirSync(directory), []);
    });
  }
});
