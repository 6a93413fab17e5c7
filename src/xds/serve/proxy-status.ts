import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { TypeUrl } from '#xds/resource.ts';
import type { TypeProgress } from '#xds/serve/acceptance.ts';
import type { Rejection } from '#xds/serve/rejections.ts';
import type { DiscoveryName } from '#xds/serve/resource-types.ts';

/** How one resource type stands with one proxy. Instants are in milliseconds since 1970. */
export interface TypeStatus {
  readonly typeUrl: TypeUrl;
  /** Whether the proxy asked for everything of this type. */
  readonly wildcard: boolean;
  /** Names that the proxy asked for one by one. */
  readonly subscribedCount: number;
  /** Responses that the proxy did not answer yet. */
  readonly unansweredCount: number;
  /** The last response. */
  readonly sent: { readonly nonce: string; readonly at: number } | undefined;
  /** The last one that the proxy took. */
  readonly acked: { readonly nonce: string; readonly at: number } | undefined;
  /** The last one that it rejected, and Envoy's words. */
  readonly nacked:
    | { readonly nonce: string; readonly at: number; readonly message: string }
    | undefined;
  /** Resources that it does not take as they are. */
  readonly rejected: readonly Rejection[];
  /** Whether it has taken all that it should have. */
  readonly synced: boolean;
}

/** Which changes of the source are in force in one connected proxy. */
export interface ProxyProgress {
  readonly node: ProxyNode;
  /** Why nothing could be made for it from the present version; undefined when all is well. */
  readonly failure: string | undefined;
  /** Only the types that it asked for. */
  readonly types: Readonly<Partial<Record<DiscoveryName, TypeProgress>>>;
}

/** How one connected proxy stands. */
export interface ProxyStatus {
  readonly nodeId: string;
  readonly identity: SpiffeId;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly workloadName: string;
  readonly envoyVersion: string;
  /** Where it connects from. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** Why nothing could be made for it from how things are now; undefined when all is well. */
  readonly failure?: string | undefined;
  /** Only the types that it asked for. */
  readonly types: Readonly<Partial<Record<DiscoveryName, TypeStatus>>>;
}
