import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encodePem } from '#pki/pem.ts';
import { x509 } from './peculiar-x509.ts';
import { RECORDS_ENV, type RecordedSignature } from './recorded-signature.ts';

/** To be loaded before a program whose signatures are to be written down. */
export const RECORDER = new URL('certificate-recorder.ts', import.meta.url).href;
const run = promisify(execFile);
/** Files for one run of `openssl`. */
const BATCH = 200;

/** What is known of a certificate that verified. */
export interface Opinion {
  readonly kind: 'root' | 'intermediate' | 'leaf' | 'list';
  /** The algorithm of its own key, with curve or length; '' for a list. */
  readonly key: string;
  /** Names of a leaf, as the library writes them. */
  readonly names: string;
}

/**
 * Everything that programs of a test sign, verified by two other implementations: @peculiar/x509
 * for each signature and the `openssl` command for each chain and list.
 */
export class SecondOpinion {
  readonly #directory: string;
  readonly #records: string;

  constructor() {
    // Not removed by the test: things of a test end in the order in which they were made.
    this.#directory = mkdtempSync(join(tmpdir(), 'bw-'));
    this.#records = join(this.#directory, 'signed.jsonl');
  }

  /** The environment for a program whose signatures are to be verified. */
  get env(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--import=${RECORDER}`, [RECORDS_ENV]: this.#records };
  }

  /**
   * Verifies all that was signed so far; fails the test by an assertion for the first that is not
   * good. A chain is judged when the authorities above it were made by these programs too.
   */
  async verify(): Promise<readonly Opinion[]> {
    const records = readRecords(this.#records);
    const opinions: Opinion[] = [];
    for (const record of records) opinions.push(await opinionOf(record));
    const authorities = new Map(
      records
        .filter((_, index) => isAuthority(opinions[index]))
        .map((record) => [ownKey(record), pemOf(record)]),
    );
    const pick = (...kinds: readonly Opinion['kind'][]): string[] =>
      records
        .filter((_, index) => kinds.includes(opinions[index]?.kind ?? 'leaf'))
        .filter(({ signerKey }) => authorities.has(signerKey))
        .map(pemOf);
    // An authority that was certified anew, with the same key, counts as it is by now.
    const present = new Set(authorities.values());
    const presentOf = (kind: Opinion['kind']) =>
      pick(kind)
        .filter((pem) => present.has(pem))
        .join('');
    const roots = this.#write('roots.pem', presentOf('root'));
    const untrusted = this.#write('intermediates.pem', presentOf('intermediate'));
    const chain = ['-CAfile', roots, '-no-CApath', '-no_check_time', '-x509_strict'];
    const more = pick('intermediate').length > 0 ? ['-untrusted', untrusted] : [];
    // Each by itself: where two have one name, the command takes the first for the second.
    for (const [index, pem] of pick('root').entries()) {
      const root = this.#write(`root-${index}.pem`, pem);
      await run('openssl', ['verify', '-CAfile', root, '-no-CApath', '-x509_strict', root]);
    }
    const certificates = pick('intermediate', 'leaf');
    for (let at = 0; at < certificates.length; at += BATCH) {
      const files = certificates
        .slice(at, at + BATCH)
        .map((pem, index) => this.#write(`${at + index}.pem`, pem));
      const { stdout } = await run('openssl', ['verify', ...chain, ...more, ...files]);
      assert.equal(stdout.match(/: OK$/gm)?.length, files.length, stdout);
    }
    for (const { der, kind, signerKey } of records) {
      if (kind !== 'list' || !authorities.has(signerKey)) continue;
      const list = this.#write('list.pem', pemOf({ der, kind, signerKey }));
      const signer = this.#write('signer.pem', authorities.get(signerKey) ?? '');
      const { stderr } = await run('openssl', ['crl', '-in', list, '-CAfile', signer, '-noout']);
      assert.match(stderr, /verify OK/);
    }
    return opinions;
  }

  /** Forgets what was signed. */
  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #write(name: string, text: string): string {
    const path = join(this.#directory, name);
    writeFileSync(path, text);
    return path;
  }
}

/** How many signatures were judged, by what they are on. */
export type Judged = Readonly<Record<RecordedSignature['kind'], number>>;

/**
 * Verifies every signature that a recorder wrote down, for the certificates that tests make inside
 * their own process. Chains are not judged: many are wrong on purpose.
 * @param path the file of `RECORDS_ENV`
 * @throws AssertionError for the first that is not good
 */
export async function verifySignatures(path: string): Promise<Judged> {
  const judged = { certificate: 0, list: 0 };
  for (const record of readRecords(path)) {
    await opinionOf(record);
    judged[record.kind] += 1;
  }
  return judged;
}

function readRecords(path: string): readonly RecordedSignature[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as RecordedSignature);
}

function isAuthority(opinion: Opinion | undefined): boolean {
  return opinion?.kind === 'root' || opinion?.kind === 'intermediate';
}

function pemOf({ kind, der }: RecordedSignature): string {
  return encodePem(kind === 'list' ? 'X509 CRL' : 'CERTIFICATE', Buffer.from(der, 'base64'));
}

/** The key that a certificate is for, as `signerKey` is written. */
function ownKey({ der }: RecordedSignature): string {
  const { rawData } = new x509.X509Certificate(Buffer.from(der, 'base64')).publicKey;
  return Buffer.from(rawData).toString('base64');
}

/** What @peculiar/x509 says of it; its signature has to verify. */
async function opinionOf({ kind, der, signerKey }: RecordedSignature): Promise<Opinion> {
  const raw = Buffer.from(der, 'base64');
  const publicKey = await new x509.PublicKey(Buffer.from(signerKey, 'base64')).export();
  if (kind === 'list') {
    const list = new x509.X509Crl(raw);
    assert.equal(await list.verify({ publicKey }), true, der);
    return { kind, key: '', names: '' };
  }
  const certificate = new x509.X509Certificate(raw);
  assert.equal(await certificate.verify({ publicKey, signatureOnly: true }), true, der);
  const mayIssue = certificate.getExtension(x509.BasicConstraintsExtension)?.ca ?? false;
  const own = Buffer.from(certificate.publicKey.rawData).equals(Buffer.from(signerKey, 'base64'));
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON();
  return {
    kind: mayIssue ? (own ? 'root' : 'intermediate') : 'leaf',
    key: keyOf(certificate.publicKey.rawData),
    names: (names ?? []).map(({ value }) => value).join(' '),
  };
}

function keyOf(spki: ArrayBuffer): string {
  const key = createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return [key.asymmetricKeyType, namedCurve ?? modulusLength].filter(Boolean).join(' ');
}
