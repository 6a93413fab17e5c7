import type { HttpFacts } from '#policy/authz/request.ts';

/** Envoy refuses requests that would have one of these taken away. */
const KEPT: readonly string[] = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];

/**
 * Names, in lower case, of the headers that a caller says are for its connection alone (RFC 9110
 * section 7.6.1): Envoy takes them out before any filter, and hands them to nobody. Undefined for a
 * request that it refuses for them.
 */
export function connectionOptions(
  headers: HttpFacts['headers'] = {},
): readonly string[] | undefined {
  const given = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), value] as const,
  );
  const text = given.flatMap(([name, value]) => (name === 'connection' ? value : [])).join(',');
  const options = text.split(',').map((option) => option.trim().toLowerCase());
  // An upgrade keeps them all.
  if (options.includes('upgrade') && given.some(([name]) => name === 'upgrade')) return [];
  if (options.some((option) => KEPT.includes(option) || option.startsWith(':'))) return undefined;
  return options.filter((option) => !['', 'connection', 'te'].includes(option));
}
