import { type DerReader, latin1 } from '#pki/der-read.ts';
import { contextTag, type DerPart, element, sequence, TAG } from '#pki/der-write.ts';
import { ipBytes, type SubjectAltNames } from '#pki/subject-alt-name.ts';

/** Names by form, as the trees of a name constraint have them (RFC 5280 section 4.2.1.10). */
interface Subtrees {
  /** Hosts; one that begins with a dot stands for all below it. */
  readonly uriHosts: readonly string[];
  readonly dnsNames: readonly string[];
  /** Address, then mask: 8 bytes or 32. */
  readonly ipRanges: readonly Uint8Array[];
  /** Whether there is one over the subject (a directory name), and over any other form. */
  readonly hasDirectories: boolean;
  readonly hasOthers: boolean;
}

/** What an authority may name. A form that is not permitted anywhere is not bound at all. */
export interface NameConstraints {
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
}

/** The names in one certificate that constraints above it speak of. */
export interface ConstrainedNames {
  readonly names: SubjectAltNames;
  /** Name, DER. */
  readonly subject: Uint8Array;
}

const PERMITTED_TAG = contextTag(0, 'constructed');
const EXCLUDED_TAG = contextTag(1, 'constructed');
const DNS_TAG = contextTag(2, 'primitive');
const DIRECTORY_TAG = contextTag(4, 'constructed');
const URI_TAG = contextTag(6, 'primitive');
const IP_TAG = contextTag(7, 'primitive');
const NONE: Subtrees = {
  uriHosts: [],
  dnsNames: [],
  ipRanges: [],
  hasDirectories: false,
  hasOthers: false,
};
/** The bytes of a Name without any part. */
const EMPTY_NAME_LENGTH = 2;

/** NameConstraints, DER, that permit URIs of these hosts and no other, and bind nothing else. */
export function encodeUriConstraint(hosts: readonly string[]): DerPart {
  const subtrees = hosts.map((host) => sequence(element(URI_TAG, host)));
  return sequence(element(PERMITTED_TAG, ...subtrees));
}

/** NameConstraints from DER. */
export function parseNameConstraints(outer: DerReader): NameConstraints {
  const fields = outer.inside(TAG.sequence);
  outer.end();
  const permitted = fields.nextIs(PERMITTED_TAG)
    ? parseSubtrees(fields.inside(PERMITTED_TAG))
    : NONE;
  const excluded = fields.nextIs(EXCLUDED_TAG) ? parseSubtrees(fields.inside(EXCLUDED_TAG)) : NONE;
  fields.end();
  return { permitted, excluded };
}

function parseSubtrees(list: DerReader): Subtrees {
  const [uriHosts, dnsNames, ipRanges]: [string[], string[], Uint8Array[]] = [[], [], []];
  let [hasDirectories, hasOthers] = [false, false];
  if (list.isAtEnd) throw list.malformed('a name constraint is empty');
  while (!list.isAtEnd) {
    const subtree = list.inside(TAG.sequence);
    const tag = subtree.peekTag();
    const base = subtree.contents(tag);
    // "minimum" and "maximum" have no meaning on the Internet: absent, says the standard.
    subtree.end();
    if (tag === URI_TAG) uriHosts.push(latin1(base).toLowerCase());
    else if (tag === DNS_TAG) dnsNames.push(latin1(base).toLowerCase());
    else if (tag === IP_TAG) ipRanges.push(range(base, list));
    else if (tag === DIRECTORY_TAG) hasDirectories = true;
    else hasOthers = true;
  }
  return { uriHosts, dnsNames, ipRanges, hasDirectories, hasOthers };
}

function range(bytes: Uint8Array, reader: DerReader): Uint8Array {
  if (bytes.length === 8 || bytes.length === 32) return bytes;
  throw reader.malformed('a range of IP addresses has a wrong length');
}

/**
 * Why a certificate below an authority breaks its constraints; undefined = it keeps them. A
 * constraint of a form that we cannot compare refuses every certificate that has such a name.
 */
export function nameConstraintProblem(
  { permitted, excluded }: NameConstraints,
  { names, subject }: ConstrainedNames,
): string | undefined {
  const cannotTell =
    (subject.length > EMPTY_NAME_LENGTH && (permitted.hasDirectories || excluded.hasDirectories)) ||
    (names.othersCount > 0 && (permitted.hasOthers || excluded.hasOthers));
  if (cannotTell) return 'a name constraint of an unsupported form applies to it';
  return (
    problemOf(names.uris, [permitted.uriHosts, excluded.uriHosts], isUriOf) ??
    problemOf(names.dnsNames, [permitted.dnsNames, excluded.dnsNames], isDnsNameOf) ??
    problemOf(names.ipAddresses, [permitted.ipRanges, excluded.ipRanges], isIpOf)
  );
}

function problemOf<Base>(
  names: readonly string[],
  [permitted, excluded]: readonly [readonly Base[], readonly Base[]],
  isOf: (name: string, base: Base) => boolean,
): string | undefined {
  const wrong = names.find(
    (name) =>
      excluded.some((base) => isOf(name, base)) ||
      (permitted.length > 0 && !permitted.some((base) => isOf(name, base))),
  );
  return wrong === undefined ? undefined : `the name constraints do not permit ${wrong}`;
}

const URI_HOST = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9._-]+)(?:[:/?#]|$)/i;

function isUriOf(uri: string, base: string): boolean {
  const host = URI_HOST.exec(uri)?.[1]?.toLowerCase();
  if (host === undefined) return false;
  return base.startsWith('.') ? host.length > base.length && host.endsWith(base) : host === base;
}

function isDnsNameOf(name: string, base: string): boolean {
  const lower = name.toLowerCase();
  if (base === '' || lower === base) return true;
  return lower.endsWith(base.startsWith('.') ? base : `.${base}`);
}

function isIpOf(address: string, base: Uint8Array): boolean {
  const bytes = ipBytes(address);
  const { length } = bytes;
  if (base.length !== 2 * length) return false;
  return bytes.every((byte, at) => ((byte ^ (base[at] ?? 0)) & (base[length + at] ?? 0)) === 0);
}
