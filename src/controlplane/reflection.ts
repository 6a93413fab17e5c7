import type { GrpcService } from '#base/grpc/grpc.ts';
import { reflectionService } from '#base/grpc/reflection.ts';
import { JwtSvidService } from '#gen/bulwark/bulwark/identity/v1/jwt_svid_pb.js';
import { IstioCertificateService } from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { AggregatedDiscoveryService } from '#gen/envoy-api/envoy/service/discovery/v3/ads_pb.js';

/** The schemas of the services that agents and Envoys call, for tools such as grpcurl. */
export function serverReflection(): GrpcService {
  return reflectionService([IstioCertificateService, AggregatedDiscoveryService, JwtSvidService]);
}
