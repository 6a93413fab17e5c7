import { isIP, isIPv4 } from 'node:net';

/** Whether the text is an IPv4 or IPv6 address, without a zone. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

/** Whether the text is an address or a CIDR block: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`. */
export function isIpBlock(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return isIpAddress(text);
  const address = text.slice(0, slash);
  const length = text.slice(slash + 1);
  if (!isIpAddress(address) || !/^(0|[1-9]\d{0,2})$/.test(length)) return false;
  return Number(length) <= (isIPv4(address) ? 32 : 128);
}
