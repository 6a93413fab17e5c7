import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The host of a URL for an address: IPv6 in brackets; loopback where the address means "all". */
export function urlHost(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  if (address === '::') return '[::1]';
  return isIPv6(address) ? `[${address}]` : address;
}

/**
 * The addresses at which a server that binds `address` is reached: that one, or all of the machine.
 */
export function reachableAt(address: string): readonly string[] {
  if (address !== '0.0.0.0' && address !== '::') return [address];
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ scopeid }) => !scopeid)
    .map((one) => one.address);
}
