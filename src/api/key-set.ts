import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { LIMITS } from '#base/limits.ts';

/** What became of a text that should be a JSON Web Key Set (RFC 7517). */
export type KeySetReading =
  | {
      readonly ok: true;
      /**
       * The set as proxies get it: without private parts, and without keys that no proxy can use.
       * The very text when there was nothing to take away.
       */
      readonly text: string;
      /** Keys in it, at least one. */
      readonly count: number;
      /** What was taken away, one sentence each. */
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly problem: string };

export interface KeySetOptions {
  /**
   * Whether a shared secret (`oct`, for HS256 and the like) counts: where everybody may read the
   * set it must not, since who knows the key can sign.
   */
  readonly sharedSecrets: boolean;
}

/** Members that only the owner of a key may know (RFC 7518, 6.2.2 and 6.3.2; RFC 8037). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'] as const;

/** Curves whose signatures Envoy verifies. */
const CURVES: Readonly<Record<string, readonly string[]>> = {
  EC: ['P-256', 'P-384', 'P-521'],
  OKP: ['Ed25519'],
};
const BASE64URL = /^[A-Za-z0-9_-]+$/;

type Key = Readonly<Record<string, unknown>>;

/** Reads a key set. Bounded by `jwksBytesMax` and `jwksKeysMax`. Pure. */
export function readKeySet(text: string, options: KeySetOptions): KeySetReading {
  if (Buffer.byteLength(text) > LIMITS.jwksBytesMax)
    return { ok: false, problem: `it has more than ${LIMITS.jwksBytesMax} bytes` };
  const keys = keysOf(text);
  if (typeof keys === 'string') return { ok: false, problem: keys };
  const warnings: string[] = [];
  const kept: Key[] = [];
  for (const [index, key] of keys.entries()) {
    const problem = problemOf(key, options);
    if (problem !== undefined) {
      warnings.push(`keys[${index}] is left out: ${problem}`);
      continue;
    }
    const isPrivate = PRIVATE_MEMBERS.some((member) => Object.hasOwn(key as Key, member));
    if (isPrivate) warnings.push(`keys[${index}] is a private key: its private part is left out`);
    kept.push(isPrivate ? publicPart(key as Key) : (key as Key));
  }
  if (kept.length === 0) {
    return { ok: false, problem: ['it has no key that a proxy can use', ...warnings].join('; ') };
  }
  const same = warnings.length === 0;
  return {
    ok: true,
    text: same ? text : JSON.stringify({ keys: kept }),
    count: kept.length,
    warnings,
  };
}

function keysOf(text: string): readonly unknown[] | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const keys = isRecord(parsed) ? parsed.keys : undefined;
  if (!Array.isArray(keys)) return 'it has no list `keys`';
  const { jwksKeysMax } = LIMITS;
  return keys.length <= jwksKeysMax ? keys : `it has more than ${jwksKeysMax} keys`;
}

function problemOf(key: unknown, { sharedSecrets }: KeySetOptions): string | undefined {
  if (!isRecord(key)) return 'it is no object';
  const { kty, use } = key;
  if (use !== undefined && use !== 'sig') return `it is not for signatures (use ${show(use)})`;
  switch (kty) {
    case 'RSA':
      return isBase64Url(key.n) && isBase64Url(key.e) ? undefined : 'n and e are no numbers';
    case 'EC':
    case 'OKP':
      return problemOfCurve(kty, key);
    case 'oct':
      if (!sharedSecrets) return 'it is a shared secret, and whoever reads it could sign';
      return isBase64Url(key.k) ? undefined : 'k is no key';
    default:
      return `kty ${show(kty)} is none of RSA, EC, OKP, oct`;
  }
}

function problemOfCurve(kty: string, key: Key): string | undefined {
  const { crv } = key;
  const known = CURVES[kty] ?? [];
  if (typeof crv !== 'string' || !known.includes(crv))
    return `crv ${show(crv)} is none of ${known.join(', ')}`;
  try {
    createPublicKey({ key: publicPart(key) as JsonWebKey, format: 'jwk' });
    return undefined;
  } catch {
    return 'its numbers are no point of the curve';
  }
}

function publicPart(key: Key): Key {
  const members = Object.entries(key);
  return Object.fromEntries(
    members.filter(([name]) => !(PRIVATE_MEMBERS as readonly string[]).includes(name)),
  );
}

function isBase64Url(value: unknown): boolean {
  return typeof value === 'string' && BASE64URL.test(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short text of the user's, quoted; other values by their type. */
function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : typeof value;
}
