import type { HardeningProfile, PathNormalization } from '#model/mesh-settings.ts';
import { HARDENING } from '#policy/hardening.ts';
import { PATH_NORMALIZATIONS } from '#policy/path-normalization.ts';

/** Envoy's answer to these is 400, whatever the policy: what is not printable ASCII. */
const REFUSED = /[^\x21-\x7e]/;
const FRAGMENT = '#';
const ESCAPED_ZERO = '%00';
const ESCAPED_SLASH = /%2f/gi;
const ESCAPED_BACKSLASH = /%5c/gi;
/**
 * Letters, digits, `-`, `.`, `_`, `~` (RFC 3986 section 2.3): an escape of one means the same as
 * itself.
 */
const ESCAPED_UNRESERVED = /%(?:2[de]|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\dae])/gi;
/** A percent sign with no escape behind it. */
const LONE_PERCENT = /%(?![\da-f]{2})/gi;
/** Two hexadecimal digits behind a lone percent sign, where decoding put them. */
const NEW_ESCAPE = /\0(?=[\da-f]{2})/gi;
/** What any normalization looks at; most paths have none of it. */
const MAY_CHANGE = /[%\\"<>^`{|}]|\/[./]/;
const UNSAFE = /["<>^`{|}]/g;

/**
 * What Envoy makes of the target of a request first: in profile `strict` one with a fragment is
 * refused (undefined), in `istio` it goes on without.
 */
export function withoutFragment(target: string, profile: HardeningProfile): string | undefined {
  const at = target.indexOf(FRAGMENT);
  if (at < 0) return target;
  return HARDENING[profile].fragmentsAreRefused ? undefined : target.slice(0, at);
}

/**
 * The path that policies see: what Envoy makes of the target of a request (in origin or absolute
 * form and without fragment) under a normalization, without query. Undefined for a target that
 * Envoy refuses.
 */
export function canonicalPath(target: string, paths: PathNormalization): string | undefined {
  const { normalizes, mergesSlashes, unescapesSlashes } = PATH_NORMALIZATIONS[paths];
  if (REFUSED.test(target) || target.includes(FRAGMENT)) return undefined;
  const [path = ''] = withoutOrigin(target).split('?', 1);
  if (!path.startsWith('/')) return undefined;
  if (!normalizes || !MAY_CHANGE.test(path)) return path;
  if (path.includes(ESCAPED_ZERO)) return undefined;
  const unescaped = unescapesSlashes
    ? path.replace(ESCAPED_SLASH, '/').replace(ESCAPED_BACKSLASH, '\\')
    : path;
  const resolved = resolveDots(unescaped.replaceAll('\\', '/').split('/').slice(1));
  return mergesSlashes ? merged(resolved) : resolved;
}

/** The host and port of a target in absolute form, without a user; undefined for other forms. */
export function hostOfTarget(target: string): string | undefined {
  return ORIGIN.exec(target)?.[1]?.replace(/^.*@/s, '');
}

const ORIGIN = /^https?:\/\/([^/?]*)/i;

function withoutOrigin(target: string): string {
  const [origin] = ORIGIN.exec(target) ?? [];
  if (origin === undefined) return target;
  const rest = target.slice(origin.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Takes `.` and `..` out, and normalizes what stays. */
function resolveDots(segments: readonly string[]): string {
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const dots = dotsOf(segment);
    if (dots === '..') kept.pop();
    if (dots === undefined) kept.push(normalized(segment));
    else if (index === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/**
 * Dots may be escaped, or have a parameter behind them (`..;x`); Envoy does not see them with both.
 */
function dotsOf(segment: string): '.' | '..' | undefined {
  const name = segment.includes(';') ? segment.split(';', 1)[0] : decoded(segment);
  return name === '.' || name === '..' ? name : undefined;
}

function normalized(segment: string): string {
  // A lone percent sign must not become part of an escape that nobody sent: `%%32%66` is no `%2f`.
  const marked = segment.replace(LONE_PERCENT, '\0');
  return decoded(marked).replace(NEW_ESCAPE, '%25').replaceAll('\0', '%').replace(UNSAFE, encode);
}

function decoded(segment: string): string {
  return segment.replace(ESCAPED_UNRESERVED, decode);
}

/** One slash for several. Envoy leaves two of a path that has nothing else. */
function merged(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '');
  if (segments.length === 0) return path.length > 1 ? '//' : '/';
  return `/${segments.join('/')}${path.endsWith('/') ? '/' : ''}`;
}

function decode(escaped: string): string {
  return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
}

function encode(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
