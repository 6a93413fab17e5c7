import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** A block of addresses: those that have the first `prefixLength` bits of `address`. */
export interface AddressRange {
  readonly family: 'ipv4' | 'ipv6';
  /** In the form that Envoy reads. */
  readonly address: string;
  /** In bits: 32 or 128 for a single address. */
  readonly prefixLength: number;
}

const BITS = { ipv4: 32, ipv6: 128 } as const;
/**
 * `::ffff:a.b.c.d`: how an IPv4 peer shows on an IPv6 socket. Envoy takes it for the IPv4 address.
 */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;
const MAPPED_BITS = 96;

/**
 * Reads `1.2.3.4`, `10.0.0.0/8`, `fd00::1` or `fd00::/8`; undefined for all else, zones included.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [addressText = '', lengthText, ...more] = text.split('/');
  if (more.length > 0) return undefined;
  const range = wholeAddress(addressText);
  if (range === undefined || lengthText === undefined) return range;
  if (!/^\d{1,3}$/.test(lengthText)) return undefined;
  const isMapped = range.family === 'ipv4' && isIPv6(addressText);
  const prefixLength = Number(lengthText) - (isMapped ? MAPPED_BITS : 0);
  if (prefixLength < 0 || prefixLength > BITS[range.family]) return undefined;
  return { ...range, prefixLength };
}

/** Whether the address `text` is in the range. A text that is no address is in none. */
export function addressInRange(range: AddressRange, text: string): boolean {
  const address = wholeAddress(text);
  if (address === undefined || address.family !== range.family) return false;
  const shift = BigInt(BITS[range.family] - range.prefixLength);
  return bitsOf(address) >> shift === bitsOf(range) >> shift;
}

function wholeAddress(text: string): AddressRange | undefined {
  if (isIPv4(text)) return { family: 'ipv4', address: text, prefixLength: BITS.ipv4 };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const address = new SocketAddress({ address: text, family: 'ipv6' }).address;
  const mapped = MAPPED.exec(address)?.[1];
  if (mapped !== undefined) return wholeAddress(mapped);
  return { family: 'ipv6', address, prefixLength: BITS.ipv6 };
}

/**
 * The address as one number. IPv6 has at most one `::`, and after SocketAddress at most one dotted
 * tail.
 */
function bitsOf(range: AddressRange): bigint {
  if (range.family === 'ipv4') return bitsOfDotted(range.address);
  const dotted = /\d+\.\d+\.\d+\.\d+$/.exec(range.address)?.[0];
  const address = dotted === undefined ? range.address : range.address.replace(dotted, hex(dotted));
  const [head = '', tail] = address.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = new Array<bigint>(8 - before.length - after.length).fill(0n);
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | group, 0n);
}

function bitsOfDotted(text: string): bigint {
  return text.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function hex(dotted: string): string {
  const bits = bitsOfDotted(dotted);
  return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
}

function groups(text: string): bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}
