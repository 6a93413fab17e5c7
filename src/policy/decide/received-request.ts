import { isIP } from 'node:net';
import { topologyAt } from '#model/gateway-topology.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Call } from '#policy/decide/call.ts';
import { HARDENING } from '#policy/hardening.ts';
import { isProxyHeader } from '#policy/proxy-headers.ts';

type Headers = Readonly<Record<string, readonly string[]>>;

/** A request as the proxy of its server takes it, before any filter is asked. */
export interface ReceivedRequest {
  /** By name in lower case. */
  readonly headers: Headers;
  /** The address that counts as the original client's; undefined = that of the connection. */
  readonly originalAddress: string | undefined;
}

const FORWARDED_FOR = 'x-forwarded-for';
const FORWARDED_PROTO = 'x-forwarded-proto';
const REQUEST_ID = 'x-request-id';
/** Proxies write it anew for each request. */
const CLIENT_CERTIFICATE = 'x-forwarded-client-cert';

/**
 * What the profile leaves of the headers of a call, what the proxy adds, and whom it takes for the
 * original client: beside a workload by the profile, at a gateway by its place behind proxies that
 * are trusted.
 * @param peer who the certificate of the connection is for; undefined = there is none
 * @param isTls whether the connection is TLS
 */
export function receivedRequest(
  { from, to, http }: Call,
  settings: Pick<MeshSettings, 'hardening' | 'gatewayTopology'>,
  peer: string | undefined,
  isTls: boolean,
): ReceivedRequest {
  const { callerAddressIsPeers, proxyHeadersAreStripped } = HARDENING[settings.hardening];
  const isGateway = to.entrance !== undefined;
  const trusted = isGateway ? topologyAt(to.workload, settings).trustedProxies : 0;
  const isStripped = (name: string): boolean =>
    proxyHeadersAreStripped && isProxyHeader(name) && !(trusted > 0 && name === FORWARDED_FOR);
  const headers = new Map<string, readonly string[]>();
  for (const [written, value] of Object.entries(http?.headers ?? {})) {
    const name = written.toLowerCase();
    if (name === CLIENT_CERTIFICATE || isStripped(name)) continue;
    headers.set(name, [...(headers.get(name) ?? []), ...[value].flat()]);
  }
  // The hash of a certificate is not known before there is one.
  if (http && peer)
    headers.set(CLIENT_CERTIFICATE, [`By=${to.workload.identity};Hash=?;URI=${peer}`]);
  if (http) {
    const isBelieved = isGateway ? trusted > 0 : !callerAddressIsPeers;
    const own = isTls ? 'https' : 'http';
    // The proxy of a caller takes its requests in plaintext.
    const said = !isGateway && from.identity !== undefined ? 'http' : own;
    const given = headers.get(FORWARDED_PROTO) ?? [said];
    headers.set(FORWARDED_PROTO, isBelieved ? given : [own]);
    // The proxy makes one up where there is none.
    if (!headers.has(REQUEST_ID)) headers.set(REQUEST_ID, ['?']);
  }
  const forwarded = headers.get(FORWARDED_FOR)?.join(',');
  // Without trusted proxies before this one, the last address is the one that counts.
  if (!isGateway && !callerAddressIsPeers)
    return {
      headers: Object.fromEntries(headers),
      originalAddress: addressFromEnd(forwarded, 1),
    };
  const originalAddress = trusted > 0 ? addressFromEnd(forwarded, trusted) : undefined;
  const own = [forwarded, from.address].filter((one) => one !== undefined && one !== '');
  if (own.length > 0) headers.set(FORWARDED_FOR, [own.join(',')]);
  return { headers: Object.fromEntries(headers), originalAddress };
}

/** The address at a place, counted from the end and from 1; undefined where there is none. */
function addressFromEnd(forwarded: string | undefined, place: number): string | undefined {
  const found = forwarded?.split(',').at(-place)?.trim() ?? '';
  return isIP(found) === 0 ? undefined : found;
}
