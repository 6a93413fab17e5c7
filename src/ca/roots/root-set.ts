import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, present } from '#base/assert.ts';
import { BulwarkError } from '#base/errors.ts';
import {
  ensurePrivateDirectory,
  pathExists,
  readSecretFile,
  writeFileAtomic,
} from '#base/files.ts';
import { loadOrCreateRoot, type RootFilesDeps, type RootFilesOptions } from '#ca/root-files.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import { afterStep, ROOT_STATES, type RootSlot, type RotationStep } from '#ca/roots/root-states.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { Signer } from '#ca/signer.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { encodePem, type PemText } from '#pki/pem.ts';

/** A root that the mesh trusts. */
export interface TrustedRoot extends RootSlot {
  readonly certificate: Certificate;
}

const STATE_FILE = 'roots.json';
const SLOTS = 'slots';
const FIRST_SLOT = '.';
const KEY_FILE = 'ca-key.pem';
const CERTIFICATE_FILE = 'root-cert.pem';

/**
 * The roots of the mesh and the way from one to the next, on disk. Which root is used for what is
 * in one file that is replaced whole, and that is the moment at which a step happens: a crash
 * before it leaves the state before, a crash after it the state after. Files that no state names
 * are removed at the next start.
 */
export class RootSet implements MeshRoots {
  readonly #options: RootFilesOptions;
  readonly #deps: RootFilesDeps;
  readonly #listeners: (() => Promise<void>)[] = [];
  #roots: readonly TrustedRoot[] = [];
  #signer: SelfSignedSigner | undefined;
  /** Of all roots whose keys are there, by their folders. */
  #signers: ReadonlyMap<string, SelfSignedSigner> = new Map();

  private constructor(options: RootFilesOptions, deps: RootFilesDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * Reads the roots; makes the first one at the first start.
   * @throws BulwarkError CA_KEY_UNUSABLE, FILES_TOO_OPEN, FILES_UNREADABLE, FILES_UNWRITABLE,
   *   FILES_DISK_FULL
   */
  static async open(options: RootFilesOptions, deps: RootFilesDeps): Promise<RootSet> {
    const set = new RootSet(options, deps);
    await ensurePrivateDirectory(options.directory);
    await set.#load(await set.#readState());
    await set.#sweep();
    return set;
  }

  /** All that are trusted, the active one first. */
  get roots(): readonly TrustedRoot[] {
    return this.#roots;
  }

  /** The signer of the active root. */
  get signer(): Signer {
    return present(this.#signer, 'signer of the active root');
  }

  /** Of all roots but a tainted one, the active one first. */
  get listSigners(): readonly Signer[] {
    return [...this.#signers.values()];
  }

  /** The roots that peers are verified against, PEM, the active one first. */
  get bundlePem(): PemText {
    const pems = this.#roots.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der));
    return pems.join('') as PemText;
  }

  /** Calls `listener` after each step; a step is over when all have done their part. */
  onChange(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /**
   * Goes one step. Whether the mesh is ready for it is for the caller to know.
   * @throws BulwarkError CA_ROTATION_REFUSED when the step does not come next; FILES_UNWRITABLE,
   *   FILES_DISK_FULL: nothing has changed then
   */
  async step(step: RotationStep): Promise<void> {
    const slot = join(SLOTS, randomBytes(8).toString('hex'));
    const next = afterStep(this.#roots, step, slot).map(({ slot, state }) => ({ slot, state }));
    if (step === 'prepare') {
      await ensurePrivateDirectory(join(this.#options.directory, SLOTS));
      await this.#open(slot);
    }
    await writeFileAtomic(
      join(this.#options.directory, STATE_FILE),
      `${JSON.stringify({ roots: next }, undefined, 2)}\n`,
    );
    await this.#load(next);
    this.#deps.log.info('the roots of the mesh have changed', { step, roots: next });
    for (const listener of this.#listeners) await listener();
    await this.#sweep();
  }

  async #readState(): Promise<readonly RootSlot[]> {
    const path = join(this.#options.directory, STATE_FILE);
    if (!(await pathExists(path))) return [{ slot: FIRST_SLOT, state: 'active' }];
    const text = String(await readSecretFile(path));
    const roots = parseState(text);
    if (roots) return roots;
    throw new BulwarkError('CA_KEY_UNUSABLE', `${path} does not say which roots are used`, {
      remedy: `restore ${path} from a backup`,
    });
  }

  async #load(slots: readonly RootSlot[]): Promise<void> {
    const known = this.#signers;
    const roots: TrustedRoot[] = [];
    const signers = new Map<string, SelfSignedSigner>();
    for (const { slot, state } of slots) {
      if (state === 'tainted')
        roots.push({ slot, state, certificate: await this.#readTainted(slot) });
      else {
        const before = state === 'active' ? undefined : known.get(slot);
        const signer = before ?? (await this.#openSigner(slot, known.get(slot)));
        signers.set(slot, signer);
        roots.push({ slot, state, certificate: signer.issuers[0] });
      }
    }
    const [first] = signers.values();
    assert(first && roots[0]?.state === 'active', 'one root is active');
    this.#roots = roots;
    this.#signers = signers;
    this.#signer = first;
  }

  /** The same signer as before while the certificate is the same. */
  async #openSigner(slot: string, before: SelfSignedSigner | undefined): Promise<SelfSignedSigner> {
    const root = await this.#open(slot);
    const isSame = before?.issuers[0].serial === root.certificate.serial;
    return before && isSame ? before : new SelfSignedSigner(root);
  }

  #open(slot: string) {
    const directory = join(this.#options.directory, slot);
    return loadOrCreateRoot({ ...this.#options, directory }, this.#deps);
  }

  async #readTainted(slot: string): Promise<Certificate> {
    const known = this.#roots.find((root) => root.slot === slot)?.certificate;
    if (known) return known;
    const path = join(this.#options.directory, slot, CERTIFICATE_FILE);
    const text = await readSecretFile(path, { exclusive: false });
    const [certificate] = parseCertificatesPem(text.toString('latin1'));
    return present(certificate, 'certificate of a tainted root');
  }

  /** Removes what no state names: keys of tainted roots, and all files of roots that are gone. */
  async #sweep(): Promise<void> {
    const { directory } = this.#options;
    const stateOf = new Map(this.#roots.map(({ slot, state }) => [slot, state]));
    const slots = await readdir(join(directory, SLOTS)).catch(() => []);
    for (const name of slots) {
      if (!stateOf.has(join(SLOTS, name)))
        await rm(join(directory, SLOTS, name), { recursive: true, force: true });
    }
    if (!stateOf.has(FIRST_SLOT)) await rm(join(directory, CERTIFICATE_FILE), { force: true });
    for (const slot of [FIRST_SLOT, ...stateOf.keys()]) {
      const state = stateOf.get(slot);
      if (state === undefined || state === 'tainted')
        await rm(join(directory, slot, KEY_FILE), { force: true });
    }
  }
}

function parseState(text: string): readonly RootSlot[] | undefined {
  try {
    const { roots } = JSON.parse(text) as { readonly roots: readonly RootSlot[] };
    const isSound = (root: RootSlot): boolean =>
      /^(\.|slots\/[0-9a-f]{16})$/.test(root.slot) && ROOT_STATES.includes(root.state);
    const activeCount = roots.filter(({ state }) => state === 'active').length;
    return activeCount === 1 && roots.every(isSound) ? roots : undefined;
  } catch {
    return undefined;
  }
}
