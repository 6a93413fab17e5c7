import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ApiObject } from '#api/object.ts';
import type { InboundMode } from '#policy/authn/mtls-mode.ts';
import type { UpstreamTls } from '#policy/tls/upstream-tls.ts';

/** What is known of the two ends of a connection. */
export interface ConnectionEnds {
  readonly client: {
    readonly tls: UpstreamTls;
    /** The object that decides it; undefined = nobody says anything. */
    readonly rule: DestinationRule | undefined;
  };
  readonly server: {
    /** Whether a proxy that takes mutual TLS is beside the endpoint. */
    readonly hasProxy: boolean;
    /** What that proxy takes on the port. */
    readonly mode: InboundMode;
    /** The object that decides it; undefined = nobody says anything. */
    readonly rule: ApiObject | undefined;
  };
}

/** Why a connection cannot be made. */
export type TlsConflict =
  /** The server takes mutual TLS only. */
  | 'plaintext-to-mutual'
  /** The server takes plaintext only, or has no proxy. */
  | 'mutual-to-plaintext'
  /** TLS without the identities of the mesh, and the server takes those only. */
  | 'other-tls-to-mutual'
  /** The server's policy asks for what no caller can prove. */
  | 'refused-by-server'
  /** The client's rule cannot be met, so it does not call. */
  | 'refused-by-client';

/** How a client connects to an endpoint, and whether the endpoint takes that. */
export interface ConnectionTls {
  /** `mutual` is that of the mesh, `other-tls` what a rule has instead (SIMPLE, MUTUAL). */
  readonly sends: 'plaintext' | 'mutual' | 'other-tls' | 'nothing';
  readonly takes: InboundMode;
  /** The two objects that decide; undefined = nobody says anything on that side. */
  readonly clientRule: DestinationRule | undefined;
  readonly serverRule: ApiObject | undefined;
  /** undefined = nothing stands in the way. */
  readonly conflict: TlsConflict | undefined;
}

/**
 * Puts the two sides of a connection together. Auto mTLS fits itself to the server, so it is in
 * conflict with nothing but a refusal.
 */
export function connectionTls({ client, server }: ConnectionEnds): ConnectionTls {
  const takes: InboundMode = server.hasProxy ? server.mode : 'DISABLE';
  const sends = sentBy(client.tls, takes);
  return {
    sends,
    takes,
    clientRule: client.rule,
    serverRule: server.hasProxy ? server.rule : undefined,
    conflict: conflictOf(sends, takes),
  };
}

function sentBy(tls: UpstreamTls, takes: InboundMode): ConnectionTls['sends'] {
  switch (tls.mode) {
    case 'auto':
      return takes === 'DISABLE' ? 'plaintext' : 'mutual';
    case 'plain':
      return 'plaintext';
    case 'mesh':
      return 'mutual';
    case 'originate':
      return 'other-tls';
    case 'refuse':
      return 'nothing';
  }
}

function conflictOf(sends: ConnectionTls['sends'], takes: InboundMode): TlsConflict | undefined {
  if (sends === 'nothing') return 'refused-by-client';
  if (takes === 'REFUSE') return 'refused-by-server';
  if (sends === 'mutual') return takes === 'DISABLE' ? 'mutual-to-plaintext' : undefined;
  if (takes !== 'STRICT') return undefined;
  return sends === 'plaintext' ? 'plaintext-to-mutual' : 'other-tls-to-mutual';
}
