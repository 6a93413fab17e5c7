import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createLogger } from '#base/log.ts';
import { Sites } from '#ca/sites/sites.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const EDGE = parseSpiffeId('spiffe://cluster.local/ns/sites/sa/edge');
const FORMER = parseSpiffeId('spiffe://cluster.local/ns/sites/sa/former');
const REPORT = { trusted: ['a'], standsOn: ['a'], missingCount: 0, missing: [] };
const TTL_MS = 1000;

function set(t: TestContext) {
  const clock = new FakeClock(1_000_000);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const path = join(temporaryDirectory(t), 'sites.json');
  const open = () =>
    Sites.open({ path, identities: new Set([EDGE]), ttlMs: TTL_MS }, { clock, log });
  return { clock, path, open, lines };
}

describe('servers below this one', () => {
  it('are known until their authority is over, over a restart too', async (t) => {
    const { open, clock, path } = set(t);
    const notAfterAt = clock.now() + 5000;
    const sites = await open();
    await sites.certified(EDGE, notAfterAt);
    sites.heard(EDGE, REPORT);
    assert.deepEqual(sites.all(), [{ identity: EDGE, notAfterAt, report: REPORT }]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const again = await open();
    assert.deepEqual(again.all(), [{ identity: EDGE, notAfterAt, report: undefined }]);
    clock.advance(5001);
    assert.deepEqual(again.all(), []);
  });

  it('are not waited for once they may not have an authority any more', async (t) => {
    const { open, clock } = set(t);
    const sites = await open();
    await sites.certified(FORMER, clock.now() + 5000);
    assert.deepEqual(sites.all(), []);
  });

  it('count from the first question on, when they are from before this was kept', async (t) => {
    const { open, clock } = set(t);
    const sites = await open();
    sites.heard(EDGE, undefined);
    const notAfterAt = clock.now() + TTL_MS;
    assert.deepEqual(sites.all(), [{ identity: EDGE, notAfterAt, report: undefined }]);
  });

  it('are said to be unknown when the file does not read', async (t) => {
    const { open, path, lines } = set(t);
    writeFileSync(path, '[{', { mode: 0o600 });
    assert.deepEqual((await open()).all(), []);
    assert.ok(lines.some((line) => line.includes('not known')));
  });
});
