import { create } from '@bufbuild/protobuf';
import { type Metadata, MetadataSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import type { ClusterTls } from '#xds/generate/outbound-cluster.ts';

/**
 * Has no effect but that Envoy sees another cluster: it then opens its connections anew and lets
 * the old ones end after what they carry. So it is when the trust domain of the caller's identity
 * is another one (docs/adr/0015-change-of-trust-domain.md), and when a server is revoked.
 */
export function openedAs({
  ownDomain,
  revokedBy,
}: Pick<Extract<ClusterTls, { mode: 'mesh' }>, 'ownDomain' | 'revokedBy'>): Metadata | undefined {
  if (ownDomain === undefined && revokedBy === '') return undefined;
  const bulwark = {
    ...(ownDomain !== undefined && { openedAs: ownDomain }),
    ...(revokedBy !== '' && { revokedBy }),
  };
  return create(MetadataSchema, { filterMetadata: { bulwark } });
}

/** What Istio's own parts read of clusters and endpoints. */
const ISTIO = 'istio';

/**
 * Says of a cluster for servers outside of the mesh that nobody may change what it offers by ALPN,
 * in the words that the filters of Istio's own Envoy and its tools read (`istio.alpn_override`):
 * they would offer the protocols of the mesh there. Other clusters keep what they have.
 */
export function withAlpnOverride(
  metadata: Metadata | undefined,
  security: ClusterTls['mode'],
): Metadata | undefined {
  if (security !== 'originate') return metadata;
  const { filterMetadata, typedFilterMetadata } = metadata ?? create(MetadataSchema);
  const istio = { ...filterMetadata[ISTIO], alpn_override: 'false' };
  return create(MetadataSchema, {
    filterMetadata: { ...filterMetadata, [ISTIO]: istio },
    typedFilterMetadata,
  });
}
