// The unit of the agent starts a command that there is, and keeps what it promises.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { parseDurationMs } from '#base/duration.ts';
import { silentLogger } from '#base/log.ts';
import { SETTINGS } from '#base/settings-table.ts';
import { COMMANDS } from '#cli/commands.ts';
import type { CliContext } from '#cli/context.ts';

const UNIT = new URL('../../samples/systemd/bulwark-agent.service', import.meta.url);

/** The entries of a unit file; a later one of a name does not replace an earlier one. */
const entries = readFileSync(UNIT, 'utf8')
  .split('\n')
  .filter((line) => /^\w+=/.test(line))
  .map((line): [string, string] => [
    line.slice(0, line.indexOf('=')),
    line.slice(line.indexOf('=') + 1),
  ]);
const entry = (name: string): string => {
  const values = entries.filter(([key]) => key === name).map(([, value]) => value);
  assert.equal(values.length, 1, name);
  return values[0] ?? '';
};

const context: CliContext = {
  env: {},
  stdout: process.stdout,
  stderr: process.stderr,
  signal: new AbortController().signal,
  logger: () => silentLogger,
};

describe('the systemd unit of the agent', () => {
  it('starts a command of ours with options that it has', async () => {
    const [program, name, ...args] = entry('ExecStart').split(' ');
    assert.match(program ?? '', /^\/.*\/bulwark$/);
    const found = COMMANDS.find((command) => command.name === name) ?? assert.fail(`no ${name}`);
    const parent = new Command();
    (await found.load())(parent, context);
    const known = parent.commands[0]?.options.map(({ long }) => long) ?? [];
    const flags = args.filter((argument) => argument.startsWith('-'));
    assert.deepEqual(
      flags.filter((flag) => !known.includes(flag)),
      [],
    );
    assert.ok(flags.includes('--config'));
  });

  it('has the run directory made, for its user only', () => {
    const directory = /--run-directory (\S+)/.exec(entry('ExecStart'))?.[1];
    assert.equal(directory, `/run/${entry('RuntimeDirectory')}`);
    assert.equal(entry('RuntimeDirectoryMode'), '0700');
    assert.equal(entry('UMask'), '0077');
  });

  it('gives connections time to end, and comes back after any end', () => {
    const timeoutMs = parseDurationMs(entry('TimeoutStopSec')) ?? 0;
    assert.ok(timeoutMs > 2 * (parseDurationMs(SETTINGS.drainDuration.default) ?? 0));
    assert.equal(entry('KillMode'), 'mixed');
    assert.equal(entry('Restart'), 'always');
    assert.equal(entry('StartLimitIntervalSec'), '0');
  });

  it('can do nothing that an agent has no use for', () => {
    assert.notEqual(entry('User'), 'root');
    for (const name of ['NoNewPrivileges', 'ProtectHome', 'PrivateTmp', 'RestrictNamespaces'])
      assert.equal(entry(name), 'yes', name);
    assert.equal(entry('ProtectSystem'), 'strict');
    assert.equal(entry('CapabilityBoundingSet'), '');
    assert.equal(entry('LimitCORE'), '0');
  });
});
