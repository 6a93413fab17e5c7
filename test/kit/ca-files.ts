import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, isBulwarkError } from '#base/errors.ts';
import { CA_FILE } from '#ca/plugged-in/ca-files.ts';
import { type CaSet, parseCaSet } from '#ca/plugged-in/ca-set.ts';
import { generateKeyPair, type KeyChoice, privateKeyToPem } from '#pki/keys.ts';
import { type AuthorityChanges, type ChainAuthority, makeAuthority } from './authority-chain.ts';
import { TEST_TRUST_DOMAIN } from './test-root.ts';

/** An authority of several levels, as the files of a plugged-in one say it. */
export interface TestCaFiles {
  /** The root first, the one that signs last. */
  readonly authorities: readonly [ChainAuthority, ...ChainAuthority[]];
  readonly files: Readonly<Record<keyof typeof CA_FILE, string | undefined>>;
}

export interface CaFilesOptions {
  readonly choice?: KeyChoice;
  /** Authorities between the root and the workloads. */
  readonly levels?: number;
  /** What the one that signs has of its own. */
  readonly last?: AuthorityChanges;
  /** What the root has of its own. */
  readonly root?: AuthorityChanges;
}

/** The content of a sound set of files. */
export function makeCaFiles(options: CaFilesOptions = {}): TestCaFiles {
  const { choice = 'P-256', levels = 1, last = {}, root = {} } = options;
  const authorities: [ChainAuthority, ...ChainAuthority[]] = [makeAuthority({ choice, ...root })];
  for (let level = 1; level <= levels; level += 1) {
    const changes = { choice, ...(level === levels ? last : {}) };
    authorities.push(makeAuthority(changes, authorities.at(-1)));
  }
  return caFilesOf(authorities);
}

/** The files of these authorities, the root first. */
export function caFilesOf(authorities: TestCaFiles['authorities']): TestCaFiles {
  const signer = authorities.at(-1) ?? authorities[0];
  const chain = authorities.slice(1).reverse();
  const files = {
    certificate: signer.pem,
    privateKey: privateKeyToPem(signer.keys.privateKey).reveal(),
    chain: chain.map(({ pem }) => pem).join(''),
    root: authorities[0].pem,
    crl: undefined,
  };
  return { authorities, files };
}

/** Writes the files into a folder, those that there are. */
export function writeCaFiles(directory: string, files: TestCaFiles['files']): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, CA_FILE[name as keyof typeof CA_FILE]);
    if (text !== undefined) writeFileSync(path, text, { mode: 0o600 });
  }
}

/** What the files make, in the trust domain of tests. */
export function parseTestCa({ files }: Pick<TestCaFiles, 'files'>, at = Date.now()): CaSet {
  const { certificate = '', privateKey = '', chain, root = '', crl } = files;
  const found = { certificate, privateKey: Buffer.from(privateKey), chain, root, crl, digest: '' };
  return parseCaSet(found, { at, trustDomain: TEST_TRUST_DOMAIN });
}

/** Checks that an error is one of files that do not fit together, and what it says. */
export const isCaProblem =
  (pattern: RegExp) =>
  (error: unknown): true => {
    assert.ok(isBulwarkError(error, 'CA_FILES_INVALID'), String(error));
    assert.match(describeError(error), pattern);
    return true;
  };

/** A private key that belongs to nobody, PEM. */
export function strangeKey(): string {
  return privateKeyToPem(generateKeyPair().privateKey).reveal();
}
