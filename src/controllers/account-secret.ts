import { type Secret as SecretObject, secret as secretKind } from '#api/kinds/secret.ts';
import type { ServiceAccount } from '#api/kinds/service-account.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { CERTIFICATE_BACKDATE_MS } from '#ca/issuer.ts';
import { type Certificate, isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { verifyChain } from '#pki/chain.ts';
import { parsePrivateKeyPem, publicHalf } from '#pki/keys.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** The type of the Secrets that hold the key and certificate of a service account. */
export const KEY_AND_CERT = 'istio.io/key-and-cert';

/** Names of the values, as Citadel has them. */
const KEYS = { chain: 'cert-chain.pem', key: 'key.pem', root: 'root-cert.pem' } as const;
const PREFIX = 'istio.';
const NAME_LENGTH_MAX = 253;
/** As Citadel: the account that the Secret is for. */
const ACCOUNT_ANNOTATION = 'istio.io/service-account.name';
/** Tells our Secrets from those of another authority, which are never deleted. */
const MARK = 'bulwark.mesh/managed-by';
const MARK_VALUE = 'service-account-secrets';

/** The name of the Secret of an account; undefined when there can be none: it would be too long. */
export function accountSecretName(account: string): string | undefined {
  const name = `${PREFIX}${account}`;
  return name.length > NAME_LENGTH_MAX ? undefined : name;
}

/** The account that a Secret is for; undefined when it is of another kind. */
export function accountOfSecret({ type, metadata }: SecretObject): string | undefined {
  if (type !== KEY_AND_CERT || !metadata.name.startsWith(PREFIX)) return undefined;
  return metadata.name.slice(PREFIX.length);
}

/** Whether we made the Secret, and may delete it. */
export function secretIsOurs({ type, metadata }: SecretObject): boolean {
  return type === KEY_AND_CERT && metadata.labels?.[MARK] === MARK_VALUE;
}

/** What goes into a Secret. */
export interface AccountSecretContent {
  /** PKCS #8, PEM. */
  readonly privateKeyPem: Secret<string>;
  /** PEM: the certificate and those between it and the root. */
  readonly chainPem: string;
  /** PEM: what peers are verified against. */
  readonly rootsPem: string;
}

/** The Secret of an account; it goes when its account goes. */
export function buildAccountSecret(
  account: ServiceAccount,
  { privateKeyPem, chainPem, rootsPem }: AccountSecretContent,
): SecretObject {
  const { name, namespace = '', uid = '' } = account.metadata;
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: secretKind.apiVersion,
    kind: secretKind.kind,
    metadata: {
      name: `${PREFIX}${name}`,
      namespace,
      labels: { [MARK]: MARK_VALUE },
      annotations: { [ACCOUNT_ANNOTATION]: name },
      ownerReferences: [{ apiVersion: 'v1', kind: 'ServiceAccount', name, uid }],
    },
    type: KEY_AND_CERT,
    data: {
      [KEYS.chain]: base64(chainPem),
      [KEYS.key]: base64(privateKeyPem.reveal()),
      [KEYS.root]: base64(rootsPem),
    },
  };
}

/** What the Secret of an account must be. */
export interface ExpectedSecret {
  readonly account: ServiceAccount;
  readonly identity: SpiffeId;
  readonly rootsPem: string;
  /** Now, wall-clock milliseconds. */
  readonly at: number;
}

/** Why a Secret is written anew; the closed set of values of the label `reason`. */
export const REWRITE_REASONS = [
  'Missing',
  'OwnerChanged',
  'Incomplete',
  'RootChanged',
  'Unreadable',
  'WrongIdentity',
  'WrongKey',
  'NotTrusted',
  'NearsExpiry',
] as const;

/** Why a Secret is written anew. */
export type RewriteReason = (typeof REWRITE_REASONS)[number];

/** What was found out about a Secret: a reason to write it anew, or when to look again. */
export type SecretFinding =
  | { readonly rewrite: RewriteReason }
  | {
      readonly rewrite: undefined;
      /** When it is to be renewed, and when it expires; wall-clock milliseconds. */
      readonly renewAt: number;
      readonly notAfterAt: number;
    };

/**
 * Looks whether a Secret is what it must be. Whoever changed it, by hand or by mistake: what does
 * not verify is written anew.
 */
export function examineAccountSecret(
  secret: SecretObject | undefined,
  expected: ExpectedSecret,
): SecretFinding {
  if (!secret) return { rewrite: 'Missing' };
  if (!ownerFits(secret, expected.account)) return { rewrite: 'OwnerChanged' };
  const text = (key: string): string =>
    Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  const [chainPem, keyPem, rootsPem] = [KEYS.chain, KEYS.key, KEYS.root].map(text);
  if (!chainPem || !keyPem || !rootsPem) return { rewrite: 'Incomplete' };
  if (rootsPem !== expected.rootsPem) return { rewrite: 'RootChanged' };
  try {
    const [leaf, ...intermediates] = parseCertificatesPem(chainPem);
    const publicKey = publicHalf(parsePrivateKeyPem(keyPem));
    if (!leaf) return { rewrite: 'Unreadable' };
    if (identityOfCertificate(leaf) !== expected.identity) return { rewrite: 'WrongIdentity' };
    if (!isCertificateOfKey(leaf, publicKey)) return { rewrite: 'WrongKey' };
    const renewAt = renewalTime(leaf);
    if (expected.at >= renewAt) return { rewrite: 'NearsExpiry' };
    const roots = parseCertificatesPem(rootsPem);
    const purposes = ['serverAuth', 'clientAuth'] as const;
    verifyChain({ leaf, intermediates, roots, at: expected.at, purposes });
    return { rewrite: undefined, renewAt, notAfterAt: leaf.notAfterAt };
  } catch (error) {
    if (isBulwarkError(error, 'SPIFFE_INVALID')) return { rewrite: 'WrongIdentity' };
    if (isBulwarkError(error, 'PKI_VERIFY_FAILED')) return { rewrite: 'NotTrusted' };
    if (isBulwarkError(error)) return { rewrite: 'Unreadable' };
    throw error;
  }
}

function ownerFits(secret: SecretObject, { metadata: { name, uid = '' } }: ServiceAccount) {
  const { ownerReferences = [] } = secret.metadata;
  const isOwner = (owner: Readonly<Record<string, unknown>>): boolean =>
    owner.kind === 'ServiceAccount' && owner.name === name && owner.uid === uid;
  return secretIsOurs(secret) && ownerReferences.some(isOwner);
}

/** The part of its life after which a certificate is renewed, and how much sooner at most. */
const RENEWAL_PART = 0.5;
const JITTER_PART = 0.1;

/**
 * At half of the life or a little sooner, by its serial: certificates that were made together are
 * not renewed together, and a restart changes nothing.
 */
function renewalTime({ notBeforeAt, notAfterAt, serial }: Certificate): number {
  const issuedAt = notBeforeAt + CERTIFICATE_BACKDATE_MS;
  const chance = Number.parseInt(serial.slice(-4), 16) / 0x10000;
  return issuedAt + (notAfterAt - issuedAt) * (RENEWAL_PART - chance * JITTER_PART);
}
