import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { resolveSettings } from '#base/settings.ts';
import { Audit } from '#controlplane/audit.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const CHANGE = {
  caller: { username: 'ann', groups: [] },
  verb: 'create',
  after: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'b' } },
} as const;

function auditWith(t: TestContext, flags: Parameters<typeof resolveSettings>[0]['flags']) {
  const directory = join(temporaryDirectory(t), 'audit');
  let written = '';
  const stdout = new Writable({
    write(chunk, _, done) {
      written += String(chunk);
      done();
    },
  });
  const settings = resolveSettings({ ...(flags && { flags }) });
  const deps = { random: systemRandom, log: silentLogger, metrics: new Metrics(), stdout };
  const audit = new Audit({ settings, directory }, { ...deps, clock: new FakeClock() });
  t.after(() => audit.close());
  return { audit, directory, written: () => written };
}

describe('records of a server', () => {
  it('go into files of its data folder that are for it alone', async (t) => {
    const { audit, directory, written } = auditWith(t, {});
    await audit.start();
    audit.changed(CHANGE);
    await audit.close();
    assert.equal((statSync(directory).mode & 0o777).toString(8), '700');
    assert.match(readFileSync(join(directory, 'changes.jsonl'), 'utf8'), /"user":"ann"/);
    assert.equal(written(), '');
  });

  it('go to standard output and to no file, where the settings say so', async (t) => {
    const { audit, directory, written } = auditWith(t, { auditSinks: 'stdout' });
    await audit.start();
    audit.changed(CHANGE);
    await audit.close();
    assert.match(written(), /^\{.*"user":"ann".*\}\n$/);
    assert.equal(existsSync(directory), false);
    const view = await audit.views()[ADMIN_PATHS.audit](new URLSearchParams());
    assert.equal(view.isKept, false);
  });

  it('need the URL of a collector to go there', (t) => {
    for (const endpoint of [undefined, 'collector', 'ftp://127.0.0.1/logs'])
      assert.throws(
        () =>
          auditWith(t, {
            auditSinks: 'otlp',
            ...(endpoint !== undefined && { auditOtlpEndpoint: endpoint }),
          }),
        { code: 'SETTINGS_INVALID' },
      );
  });
});
