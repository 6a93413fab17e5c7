import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { SecretState } from '#agent/secrets/secret-state.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { makeAuthority, makeLeaf } from '../../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const DB = parseSpiffeId('spiffe://cluster.local/ns/vm/sa/db');
const isTooOpen = (error: unknown) => isBulwarkError(error, 'FILES_TOO_OPEN');

/** A secret that is good for an hour from now. */
function makeSecret(identity = DB): WorkloadSecret {
  const root = makeAuthority();
  const leaf = makeLeaf(root, { uris: [identity] });
  const { serial, notBeforeAt, notAfterAt } = leaf.certificate;
  return {
    identity,
    privateKeyPem: new Secret(leaf.privateKeyPem),
    chainPem: leaf.pem,
    rootsPem: root.pem,
    ...{ serial, notBeforeAt, notAfterAt, obtainedAt: Date.now() },
  };
}

function setUp(t: TestContext) {
  const folder = join(temporaryDirectory(t), 'state');
  const path = join(folder, 'db.vm.json');
  const lines: string[] = [];
  const clock = new FakeClock(Date.now());
  const log = createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } });
  const open = (identity = DB) =>
    new SecretState({ path, identity, identityAliases: [] }, { clock, random: systemRandom, log });
  const keep = async (secret: WorkloadSecret): Promise<void> => {
    const state = open();
    await state.start();
    state.publish(secret);
    await state.close();
  };
  return { folder, path, lines, clock, open, keep };
}

describe('what is kept of a workload', () => {
  it('is there after a restart, and nobody else may read it', async (t) => {
    const { folder, path, keep, open, lines } = setUp(t);
    assert.equal(await open().read(), undefined);
    const secret = makeSecret();
    await keep(makeSecret());
    await keep(secret);
    const kept = (await open().read()) ?? assert.fail('nothing kept');
    assert.equal(kept.secret.serial, secret.serial);
    assert.equal(kept.secret.privateKeyPem.reveal(), secret.privateKeyPem.reveal());
    assert.equal(kept.secret.rootsPem, secret.rootsPem);
    assert.equal(parseCertificatesPem(kept.secret.chainPem).length, 1);
    assert.deepEqual([statSync(folder).mode & 0o777, statSync(path).mode & 0o777], [0o700, 0o600]);
    assert.ok(!lines.some((line) => line.includes('PRIVATE KEY')));
  });

  it('is not used once it has expired', async (t) => {
    const { keep, open, clock, lines } = setUp(t);
    await keep(makeSecret());
    clock.advance(2 * 3_600_000);
    assert.equal(await open().read(), undefined);
    assert.ok(lines.some((line) => line.includes('expires in')));
  });

  it('is not used for another identity', async (t) => {
    const { keep, open } = setUp(t);
    await keep(makeSecret());
    const other = parseSpiffeId('spiffe://cluster.local/ns/vm/sa/other');
    assert.equal(await open(other).read(), undefined);
    assert.ok(await open().read());
  });

  it('is not used when it is broken, cut off, or put together from two', async (t) => {
    const { keep, open, path, lines } = setUp(t);
    await keep(makeSecret());
    const text = readFileSync(path, 'utf8');
    const saved = JSON.parse(text);
    const [one, other] = [makeSecret(), makeSecret()];
    for (const content of [
      '',
      'null',
      '[]',
      text.slice(0, text.length / 2),
      JSON.stringify({ ...saved, privateKeyPem: 'garbage' }),
      JSON.stringify({ ...saved, chainPem: 7 }),
      JSON.stringify({ ...saved, savedAt: 'now' }),
      JSON.stringify({ ...saved, privateKeyPem: other.privateKeyPem.reveal() }),
      JSON.stringify({ ...saved, rootsPem: one.rootsPem }),
      JSON.stringify({ ...saved, rootsPem: '' }),
    ]) {
      writeFileSync(path, content);
      assert.equal(await open().read(), undefined, content.slice(0, 40));
    }
    assert.ok(!lines.some((line) => line.includes('PRIVATE KEY') || line.includes('garbage')));
    await keep(one);
    assert.equal((await open().read())?.secret.serial, one.serial);
  });

  it('stops the agent when others could have read or made it', async (t) => {
    const { keep, open, folder, path } = setUp(t);
    await keep(makeSecret());
    chmodSync(path, 0o640);
    await assert.rejects(open().read(), isTooOpen);
    chmodSync(path, 0o600);
    chmodSync(folder, 0o755);
    await assert.rejects(open().start(), isTooOpen);
    chmodSync(folder, 0o700);
    await open().start();
    const elsewhere = join(folder, 'elsewhere.json');
    symlinkSync(path, elsewhere);
    const options = { path: elsewhere, identity: DB, identityAliases: [] };
    const log = createLogger({ level: 'silent', sink: { write: () => {} } });
    const linked = new SecretState(options, { clock: new FakeClock(), random: systemRandom, log });
    await assert.rejects(linked.read(), isTooOpen);
  });

  it('stops the agent when it belongs to somebody else', async (t) => {
    const { keep, open } = setUp(t);
    await keep(makeSecret());
    const own = process.getuid;
    // Giving files away takes root; being somebody else does not.
    t.mock.method(
      process as { getuid: () => number },
      'getuid',
      () => (own?.call(process) ?? 0) + 1,
    );
    await assert.rejects(open().read(), isTooOpen);
    await assert.rejects(open().start(), isTooOpen);
    t.mock.restoreAll();
    assert.ok(await open().read());
  });
});
