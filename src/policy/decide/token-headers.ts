import type { GivenToken } from '#policy/decide/call.ts';
import type { TokenResult } from '#policy/decide/token.ts';

type Headers = Readonly<Record<string, readonly string[]>>;

/**
 * The headers of a request behind the filter of tokens: those in which rules pass claims on are
 * taken from what the caller sent, and the rule that takes the token writes its own (Envoy,
 * "JwtProvider": `forward_payload_header`, `claim_to_headers`).
 * @param headers by name in lower case
 */
export function withTokenHeaders(
  headers: Headers,
  token: GivenToken | undefined,
  { asked = [], rule }: TokenResult,
): Headers {
  const names = asked.flatMap(({ payloadHeader, claimHeaders }) =>
    [payloadHeader, ...claimHeaders.map(({ header }) => header)].map((name) => name.toLowerCase()),
  );
  if (names.every((name) => name === '')) return headers;
  const kept = Object.entries(headers).filter(([name]) => !names.includes(name));
  if (!rule || !token) return Object.fromEntries(kept);
  const { payloadHeader, claimHeaders } = rule;
  const payload = Buffer.from(JSON.stringify(token.claims)).toString('base64url');
  const added = claimHeaders.flatMap(({ header, claim }) => {
    const text = claimText(claimAt(token.claims, claim));
    return text === undefined ? [] : [[header.toLowerCase(), [text]] as const];
  });
  return Object.fromEntries([
    ...kept,
    ...added,
    ...(payloadHeader === '' ? [] : [[payloadHeader.toLowerCase(), [payload]] as const]),
  ]);
}

/** A claim by its path: `a.b` is in the object `a`. */
function claimAt(claims: GivenToken['claims'], path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    return isObject ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  }, claims);
}

/** Lists and objects are passed on as JSON in base64. */
function claimText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return `${value}`;
  if (typeof value !== 'object' || value === null) return undefined;
  return Buffer.from(JSON.stringify(value)).toString('base64');
}
