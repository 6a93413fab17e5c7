import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { MetadataSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { withAlpnOverride } from '#xds/generate/cluster-metadata.ts';
import type { ClusterTls } from '#xds/generate/outbound-cluster.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

/** What the modes of a DestinationRule come to. */
const SECURITY: Readonly<Record<string, ClusterTls['mode']>> = {
  DISABLE: 'plain',
  SIMPLE: 'originate',
  MUTUAL: 'originate',
  ISTIO_MUTUAL: 'mesh',
};

const alpnOverride: PrimitiveCheck = ({ fields }) => {
  const {
    tlsMode = 'DISABLE',
    meta,
    want,
  } = fields as {
    readonly tlsMode?: string;
    readonly meta?: JsonValue;
    readonly want?: JsonValue;
  };
  const security = SECURITY[tlsMode];
  if (security === undefined) return `there is no mode ${tlsMode}`;
  const read = (value: JsonValue | undefined) =>
    value ? fromJson(MetadataSchema, value) : undefined;
  const [expected, found] = [read(want), withAlpnOverride(read(meta), security)];
  return jsonDifference(
    expected ? toJson(MetadataSchema, expected) : null,
    found ? toJson(MetadataSchema, found) : null,
  );
};

/** Clusters. */
export const CLUSTER_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestAddALPNOverrideToMetadata: alpnOverride,
};
