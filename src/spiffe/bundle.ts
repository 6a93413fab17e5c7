import { createPublicKey, X509Certificate } from 'node:crypto';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/** A public key that JWT-SVIDs are verified with: a JSON Web Key with its `kid`. */
export interface JwtAuthority {
  readonly kid: string;
  readonly kty: string;
  readonly [member: string]: unknown;
}

/** What vouches for the identities of one trust domain (SPIFFE Trust Domain and Bundle 4). */
export interface SpiffeBundle {
  /** Root certificates, DER. */
  readonly roots: readonly Uint8Array[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** Grows with every change; undefined when its maker does not say. */
  readonly sequence?: number | undefined;
  /** How often to look for a new one; undefined when its maker does not say. */
  readonly refreshHintSeconds?: number | undefined;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

type Json = Readonly<Record<string, unknown>>;

/** Members that only a private or symmetric key has (RFC 7518 section 6). */
const PRIVATE_MEMBERS = ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];
/** What JWT-SVIDs may be signed with (SPIFFE JWT-SVID section 2.1). */
const JWT_KEY_TYPES = ['EC', 'RSA'];

/**
 * Reads a SPIFFE bundle: a JSON Web Key Set whose keys say what they are for. Keys for another use
 * are passed over, as the standard asks.
 * @throws BulwarkError SPIFFE_BUNDLE_INVALID
 */
export function parseBundle(text: string): SpiffeBundle {
  if (text.length > LIMITS.bundleBytesMax)
    throw invalid(`it is larger than ${LIMITS.bundleBytesMax} bytes`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw invalid('it is no JSON', cause);
  }
  return bundleOf(document);
}

/**
 * Reads a bundle as people hand it over: a SPIFFE bundle, or root certificates as PEM.
 * @throws BulwarkError SPIFFE_BUNDLE_INVALID
 */
export function parseBundleText(text: string): SpiffeBundle {
  if (text.trimStart().startsWith('{')) return parseBundle(text);
  if (text.length > LIMITS.bundleBytesMax)
    throw invalid(`it is larger than ${LIMITS.bundleBytesMax} bytes`);
  const blocks = text.match(PEM_CERTIFICATE) ?? [];
  if (text.replace(PEM_CERTIFICATE, '').includes('-----'))
    throw invalid('it holds something else than certificates');
  if (blocks.length === 0) throw invalid('it is neither a SPIFFE bundle nor PEM certificates');
  if (blocks.length > LIMITS.bundleKeysMax)
    throw invalid(`it has more than ${LIMITS.bundleKeysMax} roots`);
  return { roots: blocks.map(certificateDer), jwtAuthorities: [] };
}

/**
 * The same of a document that was parsed already.
 * @throws BulwarkError SPIFFE_BUNDLE_INVALID
 */
export function bundleOf(document: unknown): SpiffeBundle {
  if (!isObject(document) || !Array.isArray(document.keys)) throw invalid('it has no list of keys');
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: hint } = document;
  if (keys.length > LIMITS.bundleKeysMax)
    throw invalid(`it has more than ${LIMITS.bundleKeysMax} keys`);
  const parsed: readonly unknown[] = keys;
  const used = (use: string): readonly Json[] =>
    parsed.filter(isObject).filter((key) => key.use === use);
  const jwtAuthorities = used('jwt-svid').map(jwtAuthority);
  if (new Set(jwtAuthorities.map(({ kid }) => kid)).size < jwtAuthorities.length)
    throw invalid('two of its keys have the same kid');
  return {
    roots: used('x509-svid').map(rootOf),
    jwtAuthorities,
    sequence: wholeNumber(sequence, 'spiffe_sequence'),
    refreshHintSeconds: wholeNumber(hint, 'spiffe_refresh_hint'),
  };
}

/** The bundle as a JSON document, to be published. */
export function bundleDocument(bundle: SpiffeBundle): Readonly<Record<string, unknown>> {
  const { roots, jwtAuthorities, sequence, refreshHintSeconds } = bundle;
  return {
    keys: [
      ...roots.map((der) => ({
        ...new X509Certificate(der).publicKey.export({ format: 'jwk' }),
        use: 'x509-svid',
        x5c: [Buffer.from(der).toString('base64')],
      })),
      ...jwtAuthorities.map((key) => ({ ...key, use: 'jwt-svid' })),
    ],
    ...(sequence !== undefined && { spiffe_sequence: sequence }),
    ...(refreshHintSeconds !== undefined && { spiffe_refresh_hint: refreshHintSeconds }),
  };
}

function rootOf({ x5c }: Json): Uint8Array {
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string')
    throw invalid('a key for X.509 has not exactly one certificate');
  return certificateDer(Buffer.from(x5c[0], 'base64'));
}

function certificateDer(encoded: string | Buffer): Uint8Array {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(encoded);
  } catch (cause) {
    throw invalid('a certificate does not parse', cause);
  }
  if (!certificate.ca) throw invalid('a certificate is none of an authority');
  return certificate.raw;
}

function jwtAuthority(key: Json): JwtAuthority {
  const { kid, kty } = key;
  if (typeof kid !== 'string' || kid === '') throw invalid('a key for tokens has no kid');
  if (typeof kty !== 'string' || !JWT_KEY_TYPES.includes(kty))
    throw invalid(`the key ${JSON.stringify(kid)} is of a type that tokens are not signed with`);
  if (PRIVATE_MEMBERS.some((member) => member in key))
    throw invalid(`the key ${JSON.stringify(kid)} is not a public one`);
  const { use: _use, ...members } = key;
  try {
    createPublicKey({ key: members, format: 'jwk' });
  } catch (cause) {
    throw invalid(`the key ${JSON.stringify(kid)} does not parse`, cause);
  }
  return { ...members, kid, kty };
}

function wholeNumber(value: unknown, member: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${member} is no whole number`);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(reason: string, cause?: unknown): BulwarkError {
  return new BulwarkError('SPIFFE_BUNDLE_INVALID', `the trust bundle is not used: ${reason}`, {
    data: { reason },
    cause,
  });
}
