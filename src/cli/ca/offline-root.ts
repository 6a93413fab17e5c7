import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { present } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import {
  ensurePrivateDirectory,
  pathExists,
  readSecretFile,
  writeFileAtomic,
} from '#base/files.ts';
import type { RandomSource } from '#base/random.ts';
import { type AuthorityTemplate, buildAuthority } from '#pki/build-authority.ts';
import { buildName } from '#pki/build-certificate.ts';
import {
  type Certificate,
  isCertificateOfKey,
  parseCertificate,
  parseCertificatesPem,
} from '#pki/certificate.ts';
import {
  generateKeyPair,
  type KeyChoice,
  type KeyPair,
  parsePrivateKeyPem,
  privateKeyToPem,
  publicHalf,
} from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

/** What new authorities look like. */
export interface AuthorityPlan {
  readonly key: KeyChoice;
  /** The domain of the mesh first, then its aliases: what may be signed. */
  readonly trustDomains: readonly [TrustDomain, ...TrustDomain[]];
  readonly ttlMs: number;
}

export interface OfflineRootDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** An authority whose key is at hand. */
export interface HeldAuthority {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

const ROOT_KEY = 'root-key.pem';
const ROOT_CERTIFICATE = 'root-cert.pem';
const READABLE = 0o644;
const SERIAL_BYTES = 16;
/** For clocks that are a little behind. */
const BACKDATE_MS = 120_000;

/**
 * Makes a root in a new folder: `root-key.pem`, for the owner only, and `root-cert.pem`.
 * @throws BulwarkError CLI_USAGE when there is something of that name; FILES_UNWRITABLE,
 *   FILES_DISK_FULL
 */
export async function createRoot(
  directory: string,
  plan: AuthorityPlan,
  deps: OfflineRootDeps,
): Promise<HeldAuthority> {
  await refuseExisting(directory);
  await ensurePrivateDirectory(directory);
  const keys = generateKeyPair(plan.key);
  const template = templateOf('root', { ...plan, keys }, deps);
  const certificate = parseCertificate(buildAuthority(template, keys));
  await writeKey(join(directory, ROOT_KEY), keys.privateKey);
  await writeFileAtomic(join(directory, ROOT_CERTIFICATE), pemOf(certificate), READABLE);
  return { certificate, privateKey: keys.privateKey };
}

/**
 * Reads a root that `createRoot` made.
 * @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, PKI_MALFORMED, or CLI_USAGE when key and
 *   certificate do not belong together
 */
export async function openRoot(directory: string): Promise<HeldAuthority> {
  const privateKey = parsePrivateKeyPem(await readSecretFile(join(directory, ROOT_KEY)));
  const path = join(directory, ROOT_CERTIFICATE);
  const text = String(await readSecretFile(path, { exclusive: false }));
  const certificate = present(parseCertificatesPem(text)[0], 'one certificate at least');
  if (!isCertificateOfKey(certificate, publicHalf(privateKey)) || !certificate.isCa) {
    throw new BulwarkError('CLI_USAGE', `${path} is no root with the key ${ROOT_KEY} beside it`, {
      remedy: 'name the folder `root` that `bulwark ca init --offline-root` made',
    });
  }
  return { certificate, privateKey };
}

/**
 * Makes an authority below a root, in a new folder, as Istio lays out `cacerts`. It can sign for
 * workloads and not for further authorities, and ends no later than the root.
 * @throws BulwarkError CLI_USAGE when there is something of that name, or the root is over;
 *   FILES_UNWRITABLE, FILES_DISK_FULL
 */
export async function createIntermediate(
  directory: string,
  { root, ...plan }: AuthorityPlan & { readonly root: HeldAuthority },
  deps: OfflineRootDeps,
): Promise<Certificate> {
  const { notAfterAt } = root.certificate;
  if (notAfterAt <= deps.clock.now()) {
    const end = new Date(notAfterAt).toISOString();
    throw new BulwarkError('CLI_USAGE', `the root expired at ${end}`, {
      remedy: 'make a new one with --offline-root',
    });
  }
  await refuseExisting(directory);
  await ensurePrivateDirectory(directory);
  const keys = generateKeyPair(plan.key);
  const made = templateOf('intermediate', { ...plan, keys }, deps);
  const template = { ...made, pathLength: 0, notAfterAt: Math.min(made.notAfterAt, notAfterAt) };
  const certificate = parseCertificate(buildAuthority(template, root));
  const pem = pemOf(certificate);
  await writeKey(join(directory, 'ca-key.pem'), keys.privateKey);
  for (const [file, text] of [
    ['ca-cert.pem', pem],
    ['cert-chain.pem', pem],
    [ROOT_CERTIFICATE, pemOf(root.certificate)],
  ] as const)
    await writeFileAtomic(join(directory, file), text, READABLE);
  return certificate;
}

/**
 * A folder with keys is never written over.
 * @throws BulwarkError CLI_USAGE when there is something of that name
 */
export async function refuseExisting(directory: string): Promise<void> {
  if (await pathExists(directory)) {
    throw new BulwarkError(
      'CLI_USAGE',
      `${directory} is there already; keys are not written over`,
      {
        remedy: 'name another folder with --out, or move that one away',
      },
    );
  }
}

function templateOf(
  role: string,
  { keys, trustDomains, ttlMs }: AuthorityPlan & { readonly keys: KeyPair },
  { clock, random }: OfflineRootDeps,
): AuthorityTemplate {
  const serial = `1${Buffer.from(random.bytes(SERIAL_BYTES)).toString('hex')}`;
  const [organization] = trustDomains;
  return {
    serial,
    notBeforeAt: clock.now() - BACKDATE_MS,
    notAfterAt: clock.now() + ttlMs,
    // With the serial, so that two authorities of one mesh are never taken for one another.
    name: buildName({ organization, commonName: `Bulwark ${role} ${serial.slice(-8)}` }),
    publicKey: keys.publicKey,
    trustDomains,
  };
}

async function writeKey(path: string, key: KeyObject): Promise<void> {
  await writeFileAtomic(path, privateKeyToPem(key).reveal());
}

function pemOf({ der }: Certificate): string {
  return encodePem('CERTIFICATE', der);
}
