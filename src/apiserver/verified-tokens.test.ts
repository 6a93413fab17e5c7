// A token that verified before is not believed for that alone.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { loadTokenKey } from '#apiserver/token-key.ts';
import { VerifiedTokens } from '#apiserver/verified-tokens.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const LIFE_S = 600;
const AUDIENCES = ['istio-ca'];
const ACCOUNT = { kind: 'serviceaccounts', namespace: 'a', name: 'app' };

async function setUp(t: TestContext) {
  const clock = new FakeClock();
  const deps = { clock, random: systemRandom, log: silentLogger };
  const store = new MemoryStore(deps);
  const key = await loadTokenKey(join(temporaryDirectory(t), 'tokens.key'));
  const tokens = new ServiceAccountTokens({ issuer: 'https://issuer' }, { ...deps, store, key });
  const make = () =>
    store.create({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'app', namespace: 'a' },
    });
  const options = { audiences: AUDIENCES, seconds: LIFE_S };
  const { token } = await tokens.issue(await make(), options);
  const holds = async (text = token, audiences = AUDIENCES): Promise<boolean> =>
    (await tokens.reviewToken(text, audiences)).authenticated;
  assert.equal(await holds(), true);
  return { clock, store, make, token, holds };
}

describe('a token that verified before', () => {
  it('holds again', async (t) => {
    const { holds } = await setUp(t);
    assert.equal(await holds(), true);
  });

  it('is refused at once when its account is gone, and when another has its name', async (t) => {
    const { store, make, holds } = await setUp(t);
    await store.delete(ACCOUNT);
    assert.equal(await holds(), false);
    await make();
    assert.equal(await holds(), false);
  });

  it('is refused from the second in which it ends', async (t) => {
    const { clock, holds } = await setUp(t);
    clock.advance((LIFE_S - 1) * 1000);
    assert.equal(await holds(), true);
    clock.advance(1000);
    assert.equal(await holds(), false);
  });

  it('is refused before its time, when the clock is set back', async (t) => {
    const { clock, holds } = await setUp(t);
    clock.jump(-60_000);
    assert.equal(await holds(), false);
    clock.jump(60_000);
    assert.equal(await holds(), true);
  });

  it('is refused for an audience that it does not have', async (t) => {
    const { token, holds } = await setUp(t);
    assert.equal(await holds(token, ['another']), false);
  });

  it('does not help one with another signature or other claims', async (t) => {
    const { token, holds } = await setUp(t);
    const [head = '', body = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const changed = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 }));
    const forged = [head, changed.toString('base64url'), signature].join('.');
    const flipped = `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`;
    assert.equal(await holds(forged), false);
    assert.equal(await holds([head, body, flipped].join('.')), false);
    assert.equal(await holds([head, body, ''].join('.')), false);
  });
});

it('no more tokens are remembered than the limit says', () => {
  const clock = new FakeClock();
  const seconds = Math.floor(clock.now() / 1000);
  const known = new VerifiedTokens({ clock });
  const claims = { nbf: seconds, exp: seconds + LIFE_S };
  const isKnown = (token: string): boolean => known.get(token) !== undefined;
  for (let index = 0; index < LIMITS.verifiedTokensMax; index += 1) known.add(`${index}`, claims);
  assert.equal(isKnown('0'), true);
  known.add('more', claims);
  assert.deepEqual(['0', '1', 'more'].map(isKnown), [true, false, true]);
});
