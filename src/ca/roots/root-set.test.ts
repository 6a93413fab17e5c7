import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { RootSet } from '#ca/roots/root-set.ts';
import { nextStep } from '#ca/roots/root-states.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { ManagedProcess } from '../../../test/kit/child-process.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { ROOT_TTL_MS, TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';

const ROTATOR = fileURLToPath(new URL('../../../test/kit/root-rotator.ts', import.meta.url));

function openRoots(directory: string): Promise<RootSet> {
  return RootSet.open(
    { directory, trustDomain: TEST_TRUST_DOMAIN, ttlMs: ROOT_TTL_MS },
    { clock: new FakeClock(Date.now()), random: systemRandom, log: silentLogger },
  );
}

const states = ({ roots }: RootSet): readonly string[] => roots.map(({ state }) => state);

/** Every private key in the folder of the authority. */
function keysIn(directory: string): readonly string[] {
  const names = readdirSync(directory, { recursive: true }).map(String);
  return names.filter((name) => name.endsWith('ca-key.pem')).sort();
}

describe('the roots of a mesh', () => {
  it('are found again as they were after each step', async (t) => {
    const directory = temporaryDirectory(t);
    let roots = await openRoots(directory);
    for (const step of ['prepare', 'activate', 'abort', 'activate', 'taint', 'revoke'] as const) {
      await roots.step(step);
      const reopened = await openRoots(directory);
      assert.equal(reopened.bundlePem, roots.bundlePem, step);
      assert.deepEqual(states(reopened), states(roots), step);
      assert.equal(reopened.signer.issuers[0].serial, roots.signer.issuers[0].serial, step);
      roots = reopened;
    }
  });

  it('have the one that signs first, and each signs what verifies', async (t) => {
    const roots = await openRoots(temporaryDirectory(t));
    const before = roots.signer;
    await roots.step('prepare');
    assert.equal(roots.signer, before, 'the prepared root does not sign');
    await roots.step('activate');
    const [first] = parseCertificatesPem(roots.bundlePem);
    assert.equal(first?.serial, roots.signer.issuers[0].serial);
    assert.notEqual(roots.signer.issuers[0].serial, before.issuers[0].serial);
  });

  it('lose the key of the old root when it is tainted, and all of it when it is revoked', async (t) => {
    const directory = temporaryDirectory(t);
    const roots = await openRoots(directory);
    await roots.step('prepare');
    await roots.step('activate');
    assert.equal(keysIn(directory).length, 2);
    await roots.step('taint');
    assert.equal(keysIn(directory).length, 1);
    assert.ok(!existsSync(join(directory, 'ca-key.pem')));
    assert.equal(parseCertificatesPem(roots.bundlePem).length, 2, 'it is trusted still');
    await roots.step('revoke');
    assert.ok(!existsSync(join(directory, 'root-cert.pem')));
    assert.equal(parseCertificatesPem(roots.bundlePem).length, 1);
  });

  it('change for nobody when a listener is told too early: files come first', async (t) => {
    const directory = temporaryDirectory(t);
    const roots = await openRoots(directory);
    const seen: string[] = [];
    roots.onChange(async () => void seen.push(...states(await openRoots(directory))));
    await roots.step('prepare');
    assert.deepEqual(seen, ['active', 'prepared']);
  });

  it('are not guessed when the file that names them is damaged', async (t) => {
    const directory = temporaryDirectory(t);
    await (await openRoots(directory)).step('prepare');
    for (const text of ['', '{}', '{"roots":[]}', '{"roots":[{"slot":"../x","state":"active"}]}']) {
      writeFileSync(join(directory, 'roots.json'), text);
      await assert.rejects(openRoots(directory), (error) =>
        isBulwarkError(error, 'CA_KEY_UNUSABLE'),
      );
    }
  });

  it('are whole after a kill at any moment of any step', { timeout: 120_000 }, async (t) => {
    const directory = temporaryDirectory(t);
    let last: string | undefined;
    for (let round = 0; round < 8; round += 1) {
      const stepsBefore = 1 + (round % 4);
      const rotator = await rotate(t, directory, stepsBefore);
      last = rotator.lines.at(-1) ?? last;
      await assertWhole(directory);
    }
    assert.ok(last, 'some steps were taken');
  });
});

/** Starts the rotation, and kills it at some moment after so many steps. */
async function rotate(t: TestContext, directory: string, steps: number): Promise<ManagedProcess> {
  const rotator = new ManagedProcess({
    name: 'rotator',
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', ROTATOR, directory],
  });
  t.after(() => rotator.kill());
  let seen = 0;
  await rotator.waitForLine(() => {
    seen += 1;
    return seen >= steps ? true : undefined;
  }, 20_000);
  await rotator.kill();
  return rotator;
}

/** One root signs, with its own key; keys are there for those that may sign again, no others. */
async function assertWhole(directory: string): Promise<void> {
  const roots = await openRoots(directory);
  const allowed = [
    ['active'],
    ['active', 'prepared'],
    ['active', 'retired'],
    ['active', 'tainted'],
  ];
  assert.ok(
    allowed.some((one) => `${one}` === `${states(roots)}`),
    `${states(roots)}`,
  );
  const withKey = states(roots).filter((state) => state !== 'tainted').length;
  assert.equal(keysIn(directory).length, withKey);
  assert.equal(roots.signer.issuers[0].serial, roots.roots[0]?.certificate.serial);
  const { publicKey } = generateKeyPair();
  const der = await roots.signer.sign({
    serial: '1'.repeat(32),
    notBeforeAt: 0,
    notAfterAt: 1000,
    names: {
      uris: ['spiffe://cluster.local/ns/a/sa/b'],
      dnsNames: [],
      ipAddresses: [],
      othersCount: 0,
    },
    purposes: ['clientAuth'],
    publicKey: parsePublicKey(publicKey.export({ type: 'spki', format: 'der' })),
  });
  assert.ok(der.length > 0);
  assert.ok(['prepare', 'activate', 'taint', 'revoke'].includes(nextStep(roots.roots)));
}
