import { createHash } from 'node:crypto';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { CaFiles } from '#ca/plugged-in/ca-files.ts';

/** What an authority above has given, as texts, with the key that it was given for. */
export interface UpstreamGrant {
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  /** The certificate of this server's authority, PEM. */
  readonly certificate: string;
  /** Those above it without roots, PEM; '' for none. */
  readonly chain: string;
  /** All roots, PEM, the active one first. */
  readonly roots: string;
  /** When it came, wall-clock milliseconds. */
  readonly obtainedAt: number;
  /** The authorities before, of which certificates may be alive. */
  readonly before?: readonly Standing[];
}

/** Which root an authority of this server stands on, by key ids. */
export interface Standing {
  readonly authority: string;
  readonly root: string;
}

const FIELDS = ['privateKey', 'certificate', 'chain', 'roots'] as const;

/**
 * The grant that was kept; undefined when there is none or it does not read: another one is asked
 * for then.
 * @throws BulwarkError FILES_TOO_OPEN, FILES_UNREADABLE
 */
export async function readGrant(path: string): Promise<UpstreamGrant | undefined> {
  if (!(await pathExists(path))) return undefined;
  const text = String(await readSecretFile(path));
  try {
    const found = JSON.parse(text) as Record<string, unknown>;
    const isSound = FIELDS.every((field) => typeof found[field] === 'string');
    if (isSound && typeof found.obtainedAt === 'number') return found as unknown as UpstreamGrant;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}

/**
 * Keeps a grant in one file for the owner only, so that it is there whole or not at all: a restart
 * while the authority above is away needs it.
 * @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL
 */
export async function writeGrant(path: string, grant: UpstreamGrant): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(grant, undefined, 2)}\n`);
}

/** A grant as the files of an authority, to be checked as those are. */
export function filesOf(grant: UpstreamGrant): CaFiles {
  const { privateKey, certificate, chain, roots } = grant;
  const digest = createHash('sha256').update(FIELDS.map((field) => grant[field]).join('\0'));
  return {
    certificate,
    privateKey: Buffer.from(privateKey),
    chain: `${certificate}${chain}`,
    root: roots,
    crl: undefined,
    digest: digest.digest('hex'),
  };
}

/**
 * Splits an answer of the certificate service.
 * @param answer PEM texts: the certificate, those above it, the roots in the last one
 * @throws BulwarkError CA_UPSTREAM_FAILED when parts are missing
 */
export function splitAnswer(
  answer: readonly string[],
): Pick<UpstreamGrant, 'certificate' | 'chain' | 'roots'> {
  const [certificate = '', ...rest] = answer;
  const roots = rest.at(-1);
  if (roots !== undefined) return { certificate, chain: rest.slice(0, -1).join(''), roots };
  throw new BulwarkError('CA_UPSTREAM_FAILED', 'the upstream authority sent no roots', {
    remedy: 'check that upstreamCa is a Bulwark server',
  });
}

/** Whether an error says that a grant does not hold, rather than that something is broken. */
export function isUnsound(error: unknown): error is BulwarkError {
  return isBulwarkError(error, 'CA_FILES_INVALID') || isBulwarkError(error, 'PKI_MALFORMED');
}
