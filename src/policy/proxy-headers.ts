/** Headers that say who called, or that steer a proxy: only proxies of the mesh may set them. */
export const PROXY_HEADERS = ['x-forwarded-for', 'x-real-ip', 'forwarded'] as const;
/** As above, by their beginnings. */
export const PROXY_HEADER_PREFIXES = ['x-envoy-'] as const;

/** Whether a header is one of them; `name` in lower case. */
export function isProxyHeader(name: string): boolean {
  const names: readonly string[] = PROXY_HEADERS;
  return names.includes(name) || PROXY_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix));
}
