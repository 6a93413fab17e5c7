import { create } from '@bufbuild/protobuf';
import {
  type TlsParameters,
  TlsParameters_TlsProtocol,
  TlsParametersSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { TlsLimits } from '#model/tls-limits.ts';

const PROTOCOL = {
  TLSV1_2: TlsParameters_TlsProtocol.TLSv1_2,
  TLSV1_3: TlsParameters_TlsProtocol.TLSv1_3,
} as const;

/** What is negotiated at least; TLS 1.3 wherever the other side has it. */
export function tlsParameters(limits: TlsLimits): TlsParameters {
  return create(TlsParametersSchema, {
    tlsMinimumProtocolVersion: PROTOCOL[limits.minVersion],
    tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    cipherSuites: [...limits.cipherSuites],
    ecdhCurves: [...limits.curves],
  });
}
