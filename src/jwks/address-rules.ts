import { BlockList, isIP } from 'node:net';
import { BulwarkError } from '#base/errors.ts';

/**
 * Where no issuer is, and much that answers to anybody who asks from this host: this host itself
 * (RFC 1122), its links (RFC 3927, 4291) with the metadata services of clouds, the same in the
 * spellings of NAT64 (RFC 6052) and 6to4 (RFC 3056), and what is no single host.
 */
const NEVER_ISSUERS = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/127',
  'fe80::/10',
  'ff00::/8',
  '64:ff9b::/104',
  '64:ff9b::7f00:0/104',
  '64:ff9b::a9fe:0/112',
  '2002::/24',
  '2002:7f00::/24',
  '2002:a9fe::/32',
  // Metadata outside of the links: of Alibaba, Azure, Oracle and Amazon.
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  'fd00:ec2::254/128',
] as const;

/** Blocks of addresses, as CIDR or as a single address. */
export interface AddressRulesOptions {
  /** Blocked too; they count more than what is allowed. */
  readonly blocked: readonly string[];
  /** Allowed though they are blocked by default. */
  readonly allowed: readonly string[];
}

/**
 * To which addresses requests for keys may go. Users name the URLs, so without this a user could
 * make the control plane ask whatever only it can reach.
 */
export class AddressRules {
  readonly #never = listOf(NEVER_ISSUERS);
  readonly #blocked: BlockList;
  readonly #allowed: BlockList;

  /** @throws BulwarkError SETTINGS_INVALID when a block is none */
  constructor({ blocked, allowed }: AddressRulesOptions) {
    this.#blocked = listOf(blocked);
    this.#allowed = listOf(allowed);
  }

  /** Whether a connection to the address may be opened; a text that is no address may not. */
  permits(address: string): boolean {
    const version = isIP(address);
    if (version === 0) return false;
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (this.#blocked.check(address, family)) return false;
    return this.#allowed.check(address, family) || !this.#never.check(address, family);
  }
}

function listOf(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', prefix, ...more] = block.trim().split('/');
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (version === 0 || more.length > 0 || length < 0 || length > bits) {
      throw new BulwarkError('SETTINGS_INVALID', `"${block}" is no block of addresses`, {
        remedy: 'write 10.0.0.0/8, 2001:db8::/32 or a single address',
      });
    }
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}
