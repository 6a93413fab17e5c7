import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RootsView } from '#admin/contract.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { SqliteIssuanceJournal } from '#ca/journal/sqlite-issuance-journal.ts';
import { RootSet } from '#ca/roots/root-set.ts';
import { afterStep, nextStep, type RootSlot } from '#ca/roots/root-states.ts';
import { DataFolder } from '#controlplane/data-folder.ts';
import { SqliteStore } from '#store/sqlite-store.ts';
import { bulwark } from './bulwark.ts';
import { CertificateCaller } from './certificate-caller.ts';
import type { ManagedProcess } from './child-process.ts';
import { FAULT_ENV } from './fault-names.ts';
import { serverPorts } from './free-port.ts';
import { ROOT_TTL_MS, TEST_TRUST_DOMAIN } from './test-root.ts';

const PRELOAD = new URL('fault-points.ts', import.meta.url).href;
const READY_MS_MAX = 60_000;

/** What was acknowledged: it may never be undone by a crash. */
interface Acknowledged {
  readonly serials: string[];
  /** Names of revocations that are in force. */
  readonly revocations: Set<string>;
  roots: readonly RootSlot[];
}

/**
 * A server that is killed at steps of what it does, again and again on the same data, and a caller
 * that has it sign, revoke and rotate, and remembers what it was told.
 */
export class KilledServer {
  readonly #test: Pick<TestContext, 'after'>;
  readonly #data: string;
  readonly #known: Acknowledged = { serials: [], revocations: new Set(), roots: [] };
  /** What was asked for and not answered when the server died. */
  #pending: { revocation?: string; revoked?: string; step?: RootsView['next'] } = {};
  #runs = 0;
  #ports: Promise<readonly string[]> | undefined;

  /** @param data the data folder; may be new */
  constructor(test: Pick<TestContext, 'after'>, data: string) {
    this.#test = test;
    this.#data = data;
    mkdirSync(data, { recursive: true, mode: 0o700 });
  }

  /** Certificates that a caller has. */
  get issued(): number {
    return this.#known.serials.length;
  }

  /**
   * Starts the server and has it do everything once; ends it when it did not die.
   * @param point where it is to die; nowhere when left out
   * @returns the points that it passed, in order, and whether it died at the one asked for
   */
  async run(
    point?: string,
  ): Promise<{ readonly passed: readonly string[]; readonly died: boolean }> {
    this.#runs += 1;
    const log = join(this.#data, `..`, `points-${process.pid}-${this.#runs}.log`);
    const env = {
      NODE_OPTIONS: `--import=${PRELOAD}`,
      [FAULT_ENV.log]: log,
      [FAULT_ENV.at]: point,
    };
    this.#ports ??= serverPorts();
    const ports = [...(await this.#ports), '--root-rotation', 'manual'];
    const server = bulwark(['server', '--data', this.#data, ...ports], env);
    this.#test.after(() => server.stop());
    this.#pending = {};
    await this.#drive(server);
    // What is written a little later, as records are, may be where it dies: also while it ends.
    await server.stop();
    const passed = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    const died = server.exit?.signal === 'SIGKILL' && passed.at(-1) === point;
    if (!died) assert.equal(server.exit?.code, 0, server.tail());
    return { passed, died };
  }

  /** What a crash may not do, on the files that it left behind. */
  async verify(): Promise<void> {
    const folder = new DataFolder(this.#data);
    await folder.open();
    await this.#verifyRoots();
    await this.#verifyJournal();
    await this.#verifyRevocations();
    folder.close();
  }

  /** Asks for everything once; returns early when the server is gone. */
  async #drive(server: ManagedProcess): Promise<void> {
    let caller: CertificateCaller | undefined;
    try {
      await server.waitForLine((line) => line === 'ready' || undefined, READY_MS_MAX);
      caller = await CertificateCaller.connect(this.#data);
      await this.#everything(caller);
    } catch (error) {
      // Whatever fails when the server dies fails for that; its end may be noticed a little later.
      const isGone = await Promise.race([
        server.ended.then(() => true),
        new Promise<false>((resolve) => setTimeout(resolve, 5000, false).unref()),
      ]);
      if (!isGone || server.exit?.signal !== 'SIGKILL') throw error;
    } finally {
      caller?.close();
    }
  }

  async #everything(caller: CertificateCaller): Promise<void> {
    const { serials, revocations } = this.#known;
    const sign = async (): Promise<string> => {
      const { serial } = await caller.sign();
      serials.push(serial);
      return serial;
    };
    if (this.#known.roots.length === 0) this.#known.roots = slotsOf(await caller.roots());
    await sign();
    const serial = await sign();
    const name = `serial-${serial}`;
    this.#pending.revocation = name;
    await caller.revoke(name, serial);
    revocations.add(name);
    for (let count = 0; count < 4; count += 1) {
      await sign();
      const { next } = await caller.roots();
      this.#pending.step = next;
      this.#known.roots = slotsOf(await caller.rotate(next));
      delete this.#pending.step;
    }
    await sign();
    this.#pending.revoked = name;
    await caller.unrevoke(name);
    revocations.delete(name);
  }

  /** Each root is whole, and they are as acknowledged, or one step on that was being taken. */
  async #verifyRoots(): Promise<void> {
    const directory = join(this.#data, 'ca');
    const roots = await RootSet.open(
      { directory, trustDomain: TEST_TRUST_DOMAIN, ttlMs: ROOT_TTL_MS },
      { clock: systemClock, random: systemRandom, log: silentLogger },
    );
    const found = roots.roots.map(({ state, certificate }) => {
      return { slot: certificate.subjectKeyId ?? '', state };
    });
    const known = this.#known.roots;
    const { step } = this.#pending;
    const allowed = [known, ...(step ? [afterStep(known, step, 'new')] : [])];
    const isAllowed = (one: readonly RootSlot[]): boolean =>
      one.length === found.length &&
      one.every(({ slot, state }, index) => {
        const there = found[index];
        return there?.state === state && (slot === 'new' || there.slot === slot);
      });
    const told = JSON.stringify({ known, found, step });
    assert.ok(known.length === 0 || allowed.some(isAllowed), told);
    this.#known.roots = found;
    assert.equal(roots.signer.issuers[0].subjectKeyId, found[0]?.slot);
    const withKey = found.filter(({ state }) => state !== 'tainted').length;
    assert.deepEqual(rootKeysIn(directory).length, withKey, told);
    assert.equal(nextStep(roots.roots), nextStep(found));
  }

  /** Every certificate that a caller has is in the journal, and no serial is there twice. */
  async #verifyJournal(): Promise<void> {
    const path = join(this.#data, 'ca', 'issuance.db');
    const journal = new SqliteIssuanceJournal({ path }, { clock: systemClock, log: silentLogger });
    await journal.start();
    const kept = journal.list().map(({ serial }) => serial);
    await journal.close();
    assert.equal(new Set(kept).size, kept.length, 'a serial was used twice');
    const { serials } = this.#known;
    assert.equal(new Set(serials).size, serials.length, 'a serial was given out twice');
    const inJournal = new Set(kept);
    assert.deepEqual(
      serials.filter((serial) => !inJournal.has(serial)),
      [],
      'an issued certificate is missing from the journal',
    );
  }

  /** What was revoked is revoked, and what was taken back is not. */
  async #verifyRevocations(): Promise<void> {
    const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
    const store = new SqliteStore({ path: join(this.#data, 'store', 'store.db') }, deps);
    await store.start();
    const { items } = await store.list('certificaterevocations.bulwark.mesh');
    await store.close();
    const found = new Set(items.map(({ metadata }) => metadata.name));
    const { revocation, revoked } = this.#pending;
    for (const name of this.#known.revocations)
      assert.ok(found.has(name) || name === revoked, `${name} is not revoked any more`);
    for (const name of found)
      assert.ok(this.#known.revocations.has(name) || name === revocation, `${name} is revoked`);
    this.#known.revocations.clear();
    for (const name of found) this.#known.revocations.add(name);
  }
}

function slotsOf({ roots }: RootsView): readonly RootSlot[] {
  return roots.map(({ keyId, state }) => ({ slot: keyId, state }));
}

/** Every file below with the key of a root in it, also one that was left half done. */
function rootKeysIn(directory: string): readonly string[] {
  const names = readdirSync(directory, { recursive: true }).map((name) =>
    join(directory, `${name}`),
  );
  const isRootKey = (path: string): boolean => /(ca-key\.pem|\.tmp)$/.test(path);
  return names.filter(
    (path) =>
      isRootKey(path) && statSync(path).isFile() && readFileSync(path, 'latin1').includes('KEY'),
  );
}
