// What is wrong with settings is said before anything is asked of anybody.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import type { ErrorCode } from '#base/error-codes.ts';
import { describeError, isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { resolveSettings } from '#base/settings.ts';
import { accountIdentities } from '#controlplane/trusted-accounts.ts';
import { openUpstream } from '#controlplane/upstream.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { TEST_TRUST_DOMAIN } from '../../test/kit/test-root.ts';

const fails = (code: ErrorCode, pattern: RegExp) => (error: unknown) => {
  assert.ok(isBulwarkError(error, code), String(error));
  assert.match(describeError(error), pattern);
  return true;
};

function setUp(t: TestContext) {
  const directory = temporaryDirectory(t);
  const upstreamCaRoot = join(directory, 'root.pem');
  const upstreamTokenFile = join(directory, 'token');
  writeFileSync(upstreamCaRoot, makeAuthority().pem);
  writeFileSync(upstreamTokenFile, 'a.b.c', { mode: 0o600 });
  const sound = { upstreamCa: '127.0.0.1:1', upstreamCaRoot, upstreamTokenFile };
  const open = (changes: Readonly<Record<string, string | undefined>> = {}) => {
    const given = Object.entries({ ...sound, ...changes }).filter(([, text]) => text !== undefined);
    return openUpstream(
      resolveSettings({ flags: Object.fromEntries(given) }),
      { directory, trustDomain: TEST_TRUST_DOMAIN },
      { clock: systemClock, random: systemRandom, log: silentLogger, metrics: new Metrics() },
    );
  };
  return { directory, open };
}

describe('a server below another one', () => {
  it('needs an address, a root, and exactly one proof, and no other authority', async (t) => {
    const { open, directory } = setUp(t);
    for (const [changes, pattern] of [
      [{ upstreamCa: 'https://above:1' }, /upstreamCa: .* is no HOST:PORT/],
      [{ upstreamCaRoot: undefined }, /upstreamCaRoot: it is missing/],
      [{ upstreamTokenFile: undefined }, /either this or upstreamCertificates/],
      [{ upstreamCertificates: directory }, /either this or upstreamCertificates/],
      [{ caCertificates: directory }, /leave one of them out/],
    ] as const)
      await assert.rejects(open(changes), fails('SETTINGS_INVALID', pattern));
    const missing = { upstreamCaRoot: join(directory, 'no.pem') };
    await assert.rejects(open(missing), fails('FILES_UNREADABLE', /set upstreamCaRoot/));
  });

  it('says by the names of its settings that nobody answers, or somebody else', async (t) => {
    const { open } = setUp(t);
    const away = fails('CA_UPSTREAM_FAILED', /no answer.*upstreamCa is right/);
    await assert.rejects(open(), away);
    const mute = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    t.after(() => mute.close());
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    await assert.rejects(
      open({ upstreamCa: `127.0.0.1:${port}` }),
      fails('CA_UPSTREAM_FAILED', /did not prove|no answer/),
    );
  });
});

describe('accounts that a setting names', () => {
  it('are identities of the mesh', () => {
    const found = accountIdentities('trustedNodeAccounts', ['a/b', 'c/d'], TEST_TRUST_DOMAIN);
    assert.deepEqual(
      [...found],
      ['spiffe://cluster.local/ns/a/sa/b', 'spiffe://cluster.local/ns/c/sa/d'],
    );
    assert.equal(accountIdentities('trustedNodeAccounts', [], TEST_TRUST_DOMAIN).size, 0);
  });

  it('are refused by the name of the setting when they are none', () => {
    for (const account of ['a', 'a/b/c', '/b', 'a/', 'a/..', '*/*', 'spiffe://cluster.local/ns/a'])
      assert.throws(
        () => accountIdentities('intermediateAuthorities', [account], TEST_TRUST_DOMAIN),
        fails('SETTINGS_INVALID', /intermediateAuthorities: .* names no service account/),
        account,
      );
  });
});
