import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createLogger } from '#base/log.ts';
import { type SiteAuthority, Sites } from '#ca/sites/sites.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { makeAuthority } from '../../../test/kit/authority-chain.ts';
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

/** The chain of an authority below a root. */
function authorityUntil(notAfterAt: number): SiteAuthority['issuers'] {
  const validity = { notBeforeAt: 0, notAfterAt };
  const root = makeAuthority(validity);
  return [makeAuthority(validity, root).certificate, root.certificate];
}

describe('servers below this one', () => {
  it('are known until their authority is over, over a restart too', async (t) => {
    const { open, clock, path } = set(t);
    const issuers = authorityUntil(clock.now() + 5000);
    const [{ notAfterAt, serial }] = issuers;
    const sites = await open();
    await sites.certified(EDGE, issuers);
    sites.heard(EDGE, REPORT);
    assert.deepEqual(sites.all(), [{ identity: EDGE, notAfterAt, report: REPORT }]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const again = await open();
    assert.deepEqual(again.all(), [{ identity: EDGE, notAfterAt, report: undefined }]);
    assert.deepEqual(
      again.authorities().map(({ identity, issuers: [one] }) => [identity, one.serial]),
      [[EDGE, serial]],
    );
    clock.advance(5001);
    assert.deepEqual(again.all(), []);
    assert.equal(again.authorities().length, 1, 'clocks differ');
    clock.advance(3_600_000);
    assert.deepEqual(again.authorities(), []);
  });

  it('are not waited for once they may not have an authority any more', async (t) => {
    const { open, clock } = set(t);
    const sites = await open();
    await sites.certified(FORMER, authorityUntil(clock.now() + 5000));
    assert.deepEqual(sites.all(), []);
    assert.equal(sites.authorities().length, 1, 'what it signed is still alive');
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
