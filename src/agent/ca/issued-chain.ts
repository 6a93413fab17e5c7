import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { type Certificate, isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { verifyChain } from '#pki/chain.ts';
import type { KeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A chain that passed every check. */
export interface IssuedChain {
  readonly leaf: Certificate;
  /** Who it says the workload is: `identity` or one of the aliases. */
  readonly identity: SpiffeId;
  /** Leaf and intermediates, PEM, without the root. */
  readonly chainPem: string;
  /** The roots, PEM. */
  readonly rootsPem: string;
}

/** What was asked for. */
export interface Expected {
  readonly keys: KeyPair;
  readonly identity: SpiffeId;
  /** The same account under other names of the trust domain; as good as `identity`. */
  readonly identityAliases?: readonly SpiffeId[];
  /** Now, wall-clock milliseconds. */
  readonly at: number;
}

interface Parsed {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
  readonly roots: readonly Certificate[];
  /** The same, written by us. */
  readonly rootsPem: string;
}

type Predicate = (chain: Parsed, expected: Expected) => string | undefined;

/** A certificate with less time left is of no use: it would expire before everybody has it. */
const LIFETIME_LEFT_MS_MIN = 1000;

/** First that finds something wins. */
const PREDICATES: readonly Predicate[] = [
  keyIsAnother,
  identityIsAnother,
  lifetimeIsOver,
  chainDoesNotVerify,
];

/**
 * Checks what an authority returned before any of it is used: nothing that Envoy would refuse, or
 * that says somebody else, may reach it.
 * @param chain PEM texts, leaf first, roots last (one text, which may hold several)
 * @throws BulwarkError AGENT_CERTIFICATE_REFUSED that says why
 */
export function checkIssuedChain(chain: readonly string[], expected: Expected): IssuedChain {
  const parsed = parse(chain);
  for (const predicate of PREDICATES) {
    const reason = predicate(parsed, expected);
    if (reason !== undefined) throw refused(reason);
  }
  const { leaf, roots, rootsPem } = parsed;
  // A root that came along in the middle (Istio sends it twice) is not part of what peers are sent.
  const isRoot = ({ der }: Certificate): boolean =>
    roots.some((root) => Buffer.compare(root.der, der) === 0);
  const sent = [leaf, ...parsed.intermediates.filter((certificate) => !isRoot(certificate))];
  const identity = identityOfCertificate(leaf);
  return { leaf, identity, chainPem: toPem(sent), rootsPem };
}

function parse(chain: readonly string[]): Parsed {
  if (chain.length < 2)
    throw refused(`it has ${chain.length} parts; at least leaf and root belong`);
  try {
    const [leaf, ...intermediates] = chain.slice(0, -1).flatMap(parseCertificatesPem);
    const { roots, rootsPem } = rootsOf(chain.at(-1) ?? '');
    if (!leaf || roots.length === 0) throw refused('it has no leaf or no root');
    return { leaf, intermediates, roots, rootsPem };
  } catch (cause) {
    if (isBulwarkError(cause, 'AGENT_CERTIFICATE_REFUSED')) throw cause;
    throw refused('it does not parse', cause);
  }
}

interface Roots extends Pick<Parsed, 'roots' | 'rootsPem'> {
  /** As it came. */
  readonly received: string;
}

/** The roots that came last: they are the same for long, and for every workload. */
let lastRoots: Roots | undefined;

function rootsOf(received: string): Roots {
  if (lastRoots?.received === received) return lastRoots;
  const roots = parseCertificatesPem(received);
  lastRoots = { received, roots, rootsPem: toPem(roots) };
  return lastRoots;
}

function keyIsAnother({ leaf }: Parsed, { keys }: Expected): string | undefined {
  return isCertificateOfKey(leaf, keys.publicKey) ? undefined : 'it is for another key';
}

function identityIsAnother(
  { leaf }: Parsed,
  { identity, identityAliases = [] }: Expected,
): string | undefined {
  let found: SpiffeId;
  try {
    found = identityOfCertificate(leaf);
  } catch (error) {
    return (error as Error).message;
  }
  if (found === identity || identityAliases.includes(found)) return undefined;
  return `it says ${found} where ${identity} was expected: is the token that of another account?`;
}

function lifetimeIsOver({ leaf }: Parsed, { at }: Expected): string | undefined {
  const leftMs = leaf.notAfterAt - at;
  if (leftMs >= LIFETIME_LEFT_MS_MIN) return undefined;
  return `it expires in ${leftMs} ms by the clock of this machine`;
}

function chainDoesNotVerify(
  { leaf, intermediates, roots }: Parsed,
  { at }: Expected,
): string | undefined {
  try {
    verifyChain({ leaf, intermediates, roots, at, purposes: ['serverAuth', 'clientAuth'] });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function toPem(certificates: readonly Certificate[]): string {
  return certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}

function refused(reason: string, cause?: unknown): BulwarkError {
  return new BulwarkError(
    'AGENT_CERTIFICATE_REFUSED',
    `the certificate from the authority is not used: ${reason}`,
    { data: { reason }, cause },
  );
}
