// The keys for tokens: a day each, known before they sign and until their last token has ended.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '#base/log.ts';
import { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

async function openKeys(t: TestContext, clock: FakeClock, path: string): Promise<JwtKeys> {
  const keys = new JwtKeys({ path, tokenMsMax: HOUR_MS }, { clock, log: silentLogger });
  t.after(() => keys.close());
  await keys.start();
  return keys;
}

function setUp(t: TestContext) {
  const path = join(temporaryDirectory(t), 'jwt-keys.json');
  return { path, clock: new FakeClock(Date.UTC(2026, 0)) };
}

const kids = (keys: JwtKeys) => keys.authorities.map(({ kid }) => kid);

test('the key outlives a restart, and its file is for the owner only', async (t) => {
  const { path, clock } = setUp(t);
  const first = await openKeys(t, clock, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const again = await openKeys(t, clock, path);
  assert.deepEqual(again.authorities, first.authorities);
  assert.equal(again.signer.kid, first.signer.kid);
  assert.ok(first.authorities.every((key) => !('d' in key)));
});

test('a new key is known for an hour before it signs, the old one until its tokens ended', async (t) => {
  const { path, clock } = setUp(t);
  const keys = await openKeys(t, clock, path);
  const old = keys.signer.kid;
  let changes = 0;
  keys.onChange(() => {
    changes += 1;
  });
  const pass = async (ms: number) => {
    clock.jump(ms - MINUTE_MS);
    clock.advance(MINUTE_MS);
    await new Promise((resolve) => setImmediate(resolve));
  };
  await pass(24 * HOUR_MS);
  await waitUntil(() => changes === 1, 'the second key');
  assert.equal(kids(keys).length, 2);
  assert.equal(keys.signer.kid, old);
  await waitUntil(() => clock.waitingMs.length > 0, 'the next look');
  clock.jump(HOUR_MS);
  const next = keys.signer.kid;
  assert.notEqual(next, old);
  assert.ok(kids(keys).includes(old));
  await pass(HOUR_MS + 6 * MINUTE_MS);
  await waitUntil(() => changes === 2, 'the end of the first key');
  assert.deepEqual(kids(keys), [next]);
});

test('after a long rest the old key signs until the new one is known', async (t) => {
  const { path, clock } = setUp(t);
  const first = await openKeys(t, clock, path);
  await first.close();
  clock.jump(30 * 24 * HOUR_MS);
  const later = await openKeys(t, clock, path);
  assert.equal(later.signer.kid, first.signer.kid);
  assert.equal(kids(later).length, 2);
});

test('a damaged file stops the start, and no part of it is told', async (t) => {
  const { path, clock } = setUp(t);
  await openKeys(t, clock, path);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('BEGIN', 'BEGUN'), { mode: 0o600 });
  await assert.rejects(openKeys(t, clock, path), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'CA_KEY_UNUSABLE');
    assert.equal(error.cause, undefined);
    return true;
  });
});
