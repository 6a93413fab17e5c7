import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { isAbsolute, sep } from 'node:path';
import { getCACertificates } from 'node:tls';
import { LIMITS } from '#base/limits.ts';

/** Where systems keep the roots that they trust: Debian, Fedora, SUSE, RHEL, Alpine. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----[^-]+-----END \1-----/;

/** The system's file with roots; undefined when there is none at the usual places. */
export function systemBundle(): string | undefined {
  return SYSTEM_BUNDLES.find((path) => existsSync(path));
}

/** The roots that Node finds in the system when no bundle is at the usual places, PEM. */
export function rootsWithoutBundle(): string {
  return getCACertificates('system').join('\n');
}

/** Tells whether a file changed; '' when there is none. */
export function fileMark(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs }: BigIntStats = statSync(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join('.');
  } catch {
    return ''; // whoever reads it learns why
  }
}

/**
 * The text of a file that the control plane named. It must be in one of the folders, links
 * followed, or be the system's own bundle: else whoever may write a DestinationRule could use any
 * key of this machine that the agent may read.
 * @throws Error that says why not, for people
 */
export function readAllowedFile(path: string, directories: readonly string[]): string {
  if (!isAbsolute(path)) throw new Error('its path is not absolute');
  const real = realpathSync(path);
  if (!SYSTEM_BUNDLES.includes(path) && !directories.some((one) => isBelow(real, one)))
    throw new Error('it is in none of the folders of secretDirectories');
  // A pipe must not hold up the agent.
  const file = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new Error('it is no file');
    if (status.size > LIMITS.certificateFileBytesMax) throw new Error('it is too large');
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function isBelow(real: string, directory: string): boolean {
  if (!existsSync(directory)) return false;
  const folder = realpathSync(directory);
  return real.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

/**
 * The certificates of a text, as PEM without anything around them.
 * @param options.lenient leave out what does not parse, for bundles that nobody here wrote
 * @throws Error when there is none, or one does not parse
 */
export function certificatesIn(text: string, options: { readonly lenient?: boolean } = {}): string {
  const blocks = text.match(CERTIFICATE) ?? [];
  const good = blocks.filter((block) => parses(block));
  if (good.length < blocks.length && !options.lenient)
    throw new Error('a certificate in it does not parse');
  if (good.length === 0) throw new Error('there is no certificate in it');
  return `${good.join('\n')}\n`;
}

/**
 * The private key of a text, as PKCS #8.
 * @param certificates the chain that it must fit, leaf first
 * @throws Error when there is none, it is encrypted, or fits another certificate
 */
export function privateKeyIn(text: string, certificates: string): string {
  const block = PRIVATE_KEY.exec(text)?.[0];
  if (block === undefined) throw new Error('there is no unencrypted private key in it');
  const key = createPrivateKey(block);
  if (!new X509Certificate(certificates).checkPrivateKey(key))
    throw new Error('the private key is not that of the certificate');
  return String(key.export({ type: 'pkcs8', format: 'pem' }));
}

function parses(block: string): boolean {
  try {
    new X509Certificate(block);
    return true;
  } catch {
    return false;
  }
}
