// What the platform mounted decides which kind of token the agent shows.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { MountedToken, type MountedTokenOptions } from '#agent/tokens/mounted-token.ts';
import { describeError, isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const THIRD = 'var/run/secrets/tokens/istio-token';
const FIRST = 'var/run/secrets/kubernetes.io/serviceaccount/token';

function setUp(t: TestContext, jwtPolicy: MountedTokenOptions['jwtPolicy'] = 'third-party-jwt') {
  const root = temporaryDirectory(t);
  const mount = (path: string, token: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), token, { mode: 0o600 });
  };
  const source = new MountedToken({ root, jwtPolicy }, { log: silentLogger });
  const shown = async (): Promise<string> => (await source.token()).reveal();
  return { mount, shown };
}

const fails = (pattern: RegExp) => (error: unknown) => {
  assert.ok(isBulwarkError(error, 'AGENT_TOKEN_UNREADABLE'));
  assert.match(describeError(error), pattern);
  return true;
};

describe('a mounted token', () => {
  it('for the authority alone is shown wherever there is one, whatever the policy', async (t) => {
    for (const policy of ['third-party-jwt', 'first-party-jwt'] as const) {
      const { mount, shown } = setUp(t, policy);
      mount(FIRST, 'first.party.token');
      mount(THIRD, 'third.party.token');
      assert.equal(await shown(), 'third.party.token');
    }
  });

  it('for the API server is shown only where the policy says so', async (t) => {
    const strict = setUp(t);
    strict.mount(FIRST, 'first.party.token');
    await assert.rejects(strict.shown(), fails(/jwtPolicy to first-party-jwt/));
    const old = setUp(t, 'first-party-jwt');
    old.mount(FIRST, 'first.party.token');
    assert.equal(await old.shown(), 'first.party.token');
  });

  it('of the better kind is used as soon as the platform mounts one', async (t) => {
    const { mount, shown } = setUp(t, 'first-party-jwt');
    mount(FIRST, 'first.party.token');
    assert.equal(await shown(), 'first.party.token');
    mount(THIRD, 'third.party.token');
    assert.equal(await shown(), 'third.party.token');
  });

  it('that is missing leads to the settings', async (t) => {
    for (const policy of ['third-party-jwt', 'first-party-jwt'] as const)
      await assert.rejects(setUp(t, policy).shown(), fails(/KUBECONFIG/));
  });
});
