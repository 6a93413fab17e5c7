import { isIPv4, isIPv6 } from 'node:net';
import { BulwarkError } from '#base/errors.ts';
import { type DerReader, latin1 } from '#pki/der-read.ts';
import { contextTag, type DerPart, element, sequence, TAG } from '#pki/der-write.ts';

/** The names in a certificate or request (RFC 5280 section 4.2.1.6). */
export interface SubjectAltNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** In their canonical text form: `127.0.0.1`, `::1`. */
  readonly ipAddresses: readonly string[];
  /** Names of any other form (e-mail, directory names …), counted. */
  readonly othersCount: number;
}

/** No names at all. */
export const NO_NAMES: SubjectAltNames = {
  uris: [],
  dnsNames: [],
  ipAddresses: [],
  othersCount: 0,
};

const DNS_TAG = contextTag(2, 'primitive');
const URI_TAG = contextTag(6, 'primitive');
const IP_TAG = contextTag(7, 'primitive');

/** Letters, digits, `-` in labels of at most 63, a leading `*.` allowed (RFC 1123, RFC 6125). */
const DNS_NAME =
  /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$/i;
const DNS_NAME_LENGTH_MAX = 253;

/** GeneralNames, DER. */
export function encodeNames({
  uris = [],
  dnsNames = [],
  ipAddresses = [],
}: Partial<SubjectAltNames>): DerPart {
  const encoded: DerPart[] = [];
  for (const uri of uris) encoded.push(element(URI_TAG, uri));
  for (const name of dnsNames) encoded.push(element(DNS_TAG, name));
  for (const address of ipAddresses) encoded.push(element(IP_TAG, ipBytes(address)));
  return sequence(...encoded);
}

/**
 * Whether a text is a DNS name as it may stand in a certificate.
 */
export function isDnsName(text: string): boolean {
  return text.length <= DNS_NAME_LENGTH_MAX && DNS_NAME.test(text);
}

/**
 * GeneralNames from DER; control characters and bytes over 127 are refused wherever text is meant.
 */
export function parseNames(outer: DerReader): SubjectAltNames {
  const names = outer.inside(TAG.sequence);
  outer.end();
  if (names.isAtEnd) throw names.malformed('its list of names is empty');
  const uris: string[] = [];
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  let othersCount = 0;
  while (!names.isAtEnd) {
    const tag = names.peekTag();
    const bytes = names.contents(tag);
    if (tag === URI_TAG) uris.push(printable(bytes, names));
    else if (tag === DNS_TAG) dnsNames.push(printable(bytes, names));
    else if (tag === IP_TAG) ipAddresses.push(ipText(bytes, names));
    else othersCount += 1;
  }
  return { uris, dnsNames, ipAddresses, othersCount };
}

/** A NUL in a name once cut it short for whoever compared it (CVE-2009-2408 and its kin). */
function printable(bytes: Uint8Array, reader: DerReader): string {
  for (const byte of bytes) {
    if (byte < 0x21 || byte > 0x7e)
      throw reader.malformed('a name has a character that is not allowed');
  }
  if (bytes.length === 0) throw reader.malformed('a name is empty');
  return latin1(bytes);
}

function ipText(bytes: Uint8Array, reader: DerReader): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw reader.malformed('an IP address has a wrong length');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  return canonicalIp(groups.join(':'));
}

/**
 * The 4 or 16 bytes of an IP address.
 * @throws BulwarkError PKI_MALFORMED
 */
export function ipBytes(text: string): Uint8Array {
  const address = canonicalIp(text);
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number);
  const [head = '', tail] = address.split('::');
  const before = head.split(':').filter(Boolean);
  const after = (tail ?? '').split(':').filter(Boolean);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...before, ...zeros, ...after].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes;
}

/**
 * The one text form of an IP address, so that two can be compared: `::1`, not `0:0::1`. Zones are
 * none of it.
 * @throws BulwarkError PKI_MALFORMED
 */
export function canonicalIp(text: string): string {
  if (isIPv4(text)) return text;
  // URLs know the shortest form (RFC 5952), without IPv4 notation at the end.
  const url = isIPv6(text) ? URL.parse(`http://[${text}]`) : null;
  if (!url) throw new BulwarkError('PKI_MALFORMED', `${JSON.stringify(text)} is no IP address`);
  return url.hostname.slice(1, -1);
}
