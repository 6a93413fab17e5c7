import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { silentLogger } from '#base/log.ts';
import { COMMANDS } from '#cli/commands.ts';
import type { CliContext } from '#cli/context.ts';
import { bulwark, runBulwark, unreadBulwark } from '../../test/kit/bulwark.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

/** Commands are only described, not run. */
const CONTEXT: CliContext = {
  env: {},
  stdout: new Writable(),
  stderr: new Writable(),
  signal: new AbortController().signal,
  logger: () => silentLogger,
};

describe('a command line that makes no sense', () => {
  const cases = [
    [['stauts'], /^bulwark: unknown command 'stauts'$/m],
    [['validate', '--nosuch'], /^bulwark: unknown option '--nosuch'$/m],
    [['cert', 'nosuch'], /^bulwark: unknown command 'nosuch'$/m],
  ] as const;
  for (const [args, expected] of cases) {
    it(`is refused in the words of all refusals: ${args.join(' ')}`, async (t) => {
      const child = bulwark(args);
      t.after(() => child.stop());
      await child.ended;
      assert.equal(child.exit?.code, 64);
      assert.match(child.lines.join('\n'), expected);
    });
  }
});

describe('the flag --output', () => {
  it('takes what a command can write, and refuses all else', async () => {
    const program = new Command().enablePositionalOptions();
    for (const { load } of COMMANDS) (await load())(program, CONTEXT);
    const flags = program.commands
      .flatMap((command) => [command, ...command.commands.flatMap((one) => [one, ...one.commands])])
      .flatMap(({ options }) => options.filter(({ long }) => long === '--output'));
    assert.ok(flags.length > 20);
    for (const { argChoices = [], defaultValue } of flags)
      assert.ok(argChoices.length > 1 && argChoices.includes(defaultValue));
    const { code, stderr } = await runBulwark(['matrix', '-o', 'toString']);
    assert.equal(code, 64);
    assert.match(stderr, /^bulwark: .*Allowed choices are text, json, dot/);
  });
});

describe('a command whose output nobody reads', () => {
  it('ends as at SIGPIPE, without a word', async () => {
    const child = unreadBulwark(['validate', '--help'], 'stdout');
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said += chunk;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 141);
    assert.equal(said, '');
  });

  it('goes on when it is only not heard what was wrong', async () => {
    const child = unreadBulwark(['validate', '--nosuch'], 'stderr');
    const [code] = await once(child, 'close');
    assert.equal(code, 64);
  });

  it('goes on serving when it serves', async (t) => {
    const data = temporaryDirectory(t);
    const ports = ['--secure-port', '0', '--monitoring-port', '0'];
    const args = ['server', '--data', data, ...ports, '--log-level', 'debug'];
    const child = unreadBulwark(args, 'stdout', 'stderr');
    t.after(() => child.kill('SIGKILL'));
    const asked = () => runBulwark(['status', '--kubeconfig', `${data}/admin.kubeconfig`]);
    await waitUntil(async () => (await asked()).code === 0, 'the server answers');
    assert.equal(child.exitCode, null);
    const ended = once(child, 'close');
    child.kill('SIGTERM');
    const [code] = await ended;
    assert.equal(code, 0);
  });
});

describe('bulwark --version', () => {
  it('is bulwark version', async () => {
    const [flag, short, command] = await Promise.all([
      runBulwark(['--version']),
      runBulwark(['-V']),
      runBulwark(['version']),
    ]);
    assert.match(command.stdout, /^bulwark \d/);
    assert.deepEqual([flag, short], [command, command]);
  });
});
