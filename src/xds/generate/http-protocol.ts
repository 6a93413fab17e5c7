import type { Any } from '@bufbuild/protobuf/wkt';
import { HttpProtocolOptionsSchema } from '#gen/envoy-api/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { pack } from '#xds/generate/proto-values.ts';

/** What a cluster speaks to its endpoints; `caller` = whatever the caller spoke to us. */
export type UpstreamHttp = 'http1' | 'http2' | 'caller' | 'none';

const EXTENSION = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** The `typed_extension_protocol_options` of a cluster. */
export function httpProtocolOptions(http: UpstreamHttp): Record<string, Any> {
  switch (http) {
    case 'none':
      return {};
    case 'http1':
      return {
        [EXTENSION]: pack(HttpProtocolOptionsSchema, {
          upstreamProtocolOptions: {
            case: 'explicitHttpConfig',
            value: { protocolConfig: { case: 'httpProtocolOptions', value: {} } },
          },
        }),
      };
    case 'http2':
      return {
        [EXTENSION]: pack(HttpProtocolOptionsSchema, {
          upstreamProtocolOptions: {
            case: 'explicitHttpConfig',
            value: { protocolConfig: { case: 'http2ProtocolOptions', value: {} } },
          },
        }),
      };
    case 'caller':
      return {
        [EXTENSION]: pack(HttpProtocolOptionsSchema, {
          upstreamProtocolOptions: {
            case: 'useDownstreamProtocolConfig',
            value: { httpProtocolOptions: {}, http2ProtocolOptions: {} },
          },
        }),
      };
  }
}
