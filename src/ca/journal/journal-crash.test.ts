// However its process ends, every certificate that a caller has is in the journal, and no serial
// was given out twice.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { SqliteIssuanceJournal } from '#ca/journal/sqlite-issuance-journal.ts';
import { ManagedProcess } from '../../../test/kit/child-process.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const ISSUER = fileURLToPath(new URL('../../../test/kit/certificate-issuer.ts', import.meta.url));
const ROUNDS = 4;

it('no issued certificate is missing from the journal of a process that was killed', async (t) => {
  const folder = temporaryDirectory(t);
  const path = join(folder, 'issuance.db');
  const issued: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const args = [ISSUER, path];
    const env = { TMPDIR: folder };
    const issuer = new ManagedProcess({ name: 'issuer', command: process.execPath, args, env });
    t.after(() => issuer.kill());
    let lines = 0;
    // A number that is no multiple of the callers, another one in each round.
    const enough = 60 + 37 * round;
    await issuer.waitForLine((line) => {
      if (/^[0-9a-f]{33}$/.test(line)) lines += 1;
      return lines > enough ? true : undefined;
    }, 30_000);
    await issuer.kill();
    issued.push(...issuer.lines.filter((line) => /^[0-9a-f]{33}$/.test(line)));
  }
  assert.ok(issued.length > ROUNDS * 60);
  assert.equal(new Set(issued).size, issued.length);
  const journal = new SqliteIssuanceJournal({ path }, { clock: systemClock, log: silentLogger });
  t.after(() => journal.close());
  await journal.start();
  const kept = journal.list().map(({ serial }) => serial);
  assert.equal(new Set(kept).size, kept.length);
  const missing = issued.filter((serial) => !kept.includes(serial));
  assert.deepEqual(missing, []);
});
