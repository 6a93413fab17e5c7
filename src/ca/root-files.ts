import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import {
  ensurePrivateDirectory,
  pathExists,
  readSecretFile,
  writeFileAtomic,
} from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { RootKey } from '#ca/self-signed-signer.ts';
import { SerialNumbers } from '#ca/serial.ts';
import { buildAuthority } from '#pki/build-authority.ts';
import { buildName, EMPTY_NAME } from '#pki/build-certificate.ts';
import { type Certificate, isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { verifySignature } from '#pki/chain.ts';
import {
  generateKeyPair,
  kindOfKey,
  parsePrivateKeyPem,
  privateKeyToPem,
  publicHalf,
} from '#pki/keys.ts';
import { nameConstraintProblem } from '#pki/name-constraints.ts';
import { encodePem } from '#pki/pem.ts';
import { NO_NAMES } from '#pki/subject-alt-name.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

/** Where the root lives and what a new one looks like. */
export interface RootFilesOptions {
  /** The folder of the authority; made when it is missing, closed to everybody else. */
  readonly directory: string;
  /** Goes into the subject of a new root, for people to read. */
  readonly trustDomain: TrustDomain;
  /** Its other names; the root may sign identities of all of them, and of no other domain. */
  readonly aliases?: readonly TrustDomain[];
  /** The lifetime of a new root, milliseconds. */
  readonly ttlMs: number;
}

/** What making and reading the files needs. */
export interface RootFilesDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** Istio's names for the same files. */
const KEY_FILE = 'ca-key.pem';
const CERTIFICATE_FILE = 'root-cert.pem';
const READABLE = 0o644;
/** For clocks that are a little behind ours. */
const BACKDATE_MS = 120_000;

/**
 * The root of the mesh from its two files, made at the first start. The key is written before the
 * certificate and each file appears whole or not at all, so a crash in between leaves a key alone:
 * the next start makes a certificate for it, and nothing was issued under another. A certificate
 * without its key is never replaced.
 *
 * A root that may not sign a trust domain of the settings is certified anew, with the same name and
 * key and the domains added: what it signed before stays good.
 * @throws BulwarkError CA_KEY_UNUSABLE, FILES_TOO_OPEN, FILES_UNREADABLE, FILES_UNWRITABLE,
 *   FILES_DISK_FULL
 */
export async function loadOrCreateRoot(
  options: RootFilesOptions,
  deps: RootFilesDeps,
): Promise<RootKey> {
  const { directory } = options;
  await ensurePrivateDirectory(directory);
  const keyPath = join(directory, KEY_FILE);
  const certificatePath = join(directory, CERTIFICATE_FILE);
  const [hasKey, hasCertificate] = await Promise.all([keyPath, certificatePath].map(pathExists));
  if (!hasKey && hasCertificate) {
    throw unusable(`${certificatePath} is there but its key ${keyPath} is not`, {
      remedy: `restore the key from a backup, or move ${certificatePath} away to start a new root`,
    });
  }
  if (!hasKey) await createKey(keyPath, deps.log);
  if (!hasCertificate) await createCertificate(keyPath, certificatePath, options, deps);
  // Also a root that was just made is read back: what is used is what the next start will find.
  const root = await loadRoot(keyPath, certificatePath, deps.clock.now());
  const missing = domainsOf(options).filter((domain) => !permits(root.certificate, domain));
  if (missing.length === 0) return root;
  await certifyAnew(root, missing, certificatePath, deps);
  return loadRoot(keyPath, certificatePath, deps.clock.now());
}

function domainsOf({ trustDomain, aliases = [] }: RootFilesOptions): readonly TrustDomain[] {
  return [...new Set([trustDomain, ...aliases])];
}

function permits({ nameConstraints }: Certificate, domain: string): boolean {
  if (!nameConstraints) return true;
  const names = { ...NO_NAMES, uris: [`spiffe://${domain}/ns/default/sa/default`] };
  return nameConstraintProblem(nameConstraints, { names, subject: EMPTY_NAME }) === undefined;
}

async function certifyAnew(
  { certificate, privateKey }: RootKey,
  added: readonly string[],
  path: string,
  { random, log }: RootFilesDeps,
): Promise<void> {
  const { subject: name, notBeforeAt, notAfterAt, nameConstraints } = certificate;
  const trustDomains = [...(nameConstraints?.permitted.uriHosts ?? []), ...added];
  const serial = new SerialNumbers(random).next();
  const publicKey = publicHalf(privateKey);
  const template = { serial, notBeforeAt, notAfterAt, name, publicKey, trustDomains };
  const der = buildAuthority(template, { privateKey });
  await writeFileAtomic(path, encodePem('CERTIFICATE', der), READABLE);
  log.info('the root may sign more trust domains now', { path, trustDomains });
}

async function createKey(path: string, log: Logger): Promise<void> {
  await writeFileAtomic(path, privateKeyToPem(generateKeyPair().privateKey).reveal());
  log.info('made a key for the root of the mesh', { path });
}

async function createCertificate(
  keyPath: string,
  path: string,
  options: RootFilesOptions,
  { clock, random, log }: RootFilesDeps,
): Promise<void> {
  const privateKey = await readKey(keyPath);
  const notAfterAt = clock.now() + options.ttlMs;
  const der = buildAuthority(
    {
      serial: new SerialNumbers(random).next(),
      notBeforeAt: clock.now() - BACKDATE_MS,
      notAfterAt,
      name: buildName({ organization: options.trustDomain, commonName: 'Bulwark root' }),
      publicKey: publicHalf(privateKey),
      trustDomains: domainsOf(options),
    },
    { privateKey },
  );
  await writeFileAtomic(path, encodePem('CERTIFICATE', der), READABLE);
  log.info('made a root certificate', { path, notAfter: new Date(notAfterAt).toISOString() });
}

async function loadRoot(keyPath: string, certificatePath: string, now: number): Promise<RootKey> {
  const privateKey = await readKey(keyPath);
  const text = await readSecretFile(certificatePath, { exclusive: false });
  const [certificate, ...more] = reading(certificatePath, () =>
    parseCertificatesPem(text.toString('latin1')),
  );
  const problem =
    certificate && more.length === 0
      ? problemOfRoot(certificate, privateKey, now)
      : 'it holds more than one certificate';
  if (!certificate || problem) {
    throw unusable(`${certificatePath} cannot be used: ${problem}`, {
      remedy: `restore it and ${keyPath} from a backup, or move both away to start a new root`,
    });
  }
  return { certificate, privateKey };
}

async function readKey(path: string): Promise<KeyObject> {
  const text = await readSecretFile(path);
  const key = reading(path, () => parsePrivateKeyPem(text));
  if (kindOfKey(key) !== 'P-256') {
    throw unusable(`the key in ${path} is no P-256 key`, {
      remedy: 'restore the key that Bulwark made',
    });
  }
  return key;
}

/** First what is cheap to tell apart, so that the message names the true fault. */
function problemOfRoot(
  certificate: Certificate,
  privateKey: KeyObject,
  now: number,
): string | undefined {
  if (!isCertificateOfKey(certificate, publicHalf(privateKey)))
    return 'it was made for another key';
  if (!certificate.isCa || certificate.subjectKeyId === undefined)
    return 'it is no certificate of an authority';
  if (now > certificate.notAfterAt)
    return `it expired at ${new Date(certificate.notAfterAt).toISOString()}`;
  if (now < certificate.notBeforeAt) {
    const begin = new Date(certificate.notBeforeAt).toISOString();
    return `it is not valid before ${begin}; is the clock right?`;
  }
  try {
    verifySignature(certificate, certificate);
  } catch (error) {
    if (isBulwarkError(error)) return error.message;
    throw error;
  }
  return undefined;
}

function reading<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isBulwarkError(cause)) throw cause;
    throw unusable(`${path} cannot be read as what it should be`, {
      remedy: `restore ${path} from a backup`,
      cause,
    });
  }
}

function unusable(message: string, options: { remedy: string; cause?: unknown }): BulwarkError {
  return new BulwarkError('CA_KEY_UNUSABLE', message, options);
}
