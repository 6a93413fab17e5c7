import { isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import type { Node } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { type ProxyCaller, parseProxyNode } from '#xds/node-metadata.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';

/**
 * Who opened a stream, by its first request and its certificate or token.
 * @throws GrpcStatusError INVALID_ARGUMENT, or PERMISSION_DENIED when the two do not agree
 */
export function nodeOfStream(message: Node | undefined, caller: ProxyCaller): ProxyNode {
  if (!message)
    throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the first request has no node');
  try {
    return parseProxyNode(message, caller);
  } catch (error) {
    if (isBulwarkError(error, 'XDS_NODE_INVALID'))
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, error.message, error);
    if (!isBulwarkError(error, 'XDS_IDENTITY_MISMATCH')) throw error;
    throw new GrpcStatusError(GRPC_STATUS.permissionDenied, error.message, error);
  }
}
