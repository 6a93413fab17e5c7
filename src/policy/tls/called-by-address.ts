import { PROTOCOLS, type Protocol } from '#model/protocol.ts';
import type { Service } from '#model/service.ts';

/**
 * Whether redirected calls of a service port go to the address that the caller chose, of which its
 * proxy knows nothing. So they do to a port of TCP of a headless service, too: who calls one of its
 * instances means that one. Mutual TLS is then for all known endpoints or for none.
 */
export function isCalledByAddress({ resolution, headless }: Service, protocol: Protocol): boolean {
  return resolution === 'none' || (headless && PROTOCOLS[protocol].handling === 'tcp');
}
