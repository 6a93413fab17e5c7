import type { Any } from '@bufbuild/protobuf/wkt';
import { HttpProtocolOptionsSchema } from '#gen/envoy-api/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { type Init, pack } from '#xds/generate/proto-values.ts';

/** What a cluster speaks to its endpoints; `caller` = whatever the caller spoke to us. */
export type UpstreamHttp = 'http1' | 'http2' | 'caller' | 'none';

const EXTENSION = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** What each request decides for its connection: the host that it names is asked for. */
export interface NamesFromRequests {
  /** Asked of the server (SNI). */
  readonly sni: boolean;
  /** The server's certificate must carry it. */
  readonly verified: boolean;
}

/** The `typed_extension_protocol_options` of a cluster. */
export function httpProtocolOptions(
  http: UpstreamHttp,
  names: NamesFromRequests = { sni: false, verified: false },
): Record<string, Any> {
  if (http === 'none') return {};
  const options: Init<typeof HttpProtocolOptionsSchema> = {
    upstreamProtocolOptions: PROTOCOL_OPTIONS[http],
    ...((names.sni || names.verified) && {
      upstreamHttpProtocolOptions: { autoSni: names.sni, autoSanValidation: names.verified },
    }),
  };
  return { [EXTENSION]: pack(HttpProtocolOptionsSchema, options) };
}

const PROTOCOL_OPTIONS = {
  http1: {
    case: 'explicitHttpConfig',
    value: { protocolConfig: { case: 'httpProtocolOptions', value: {} } },
  },
  http2: {
    case: 'explicitHttpConfig',
    value: { protocolConfig: { case: 'http2ProtocolOptions', value: {} } },
  },
  caller: {
    case: 'useDownstreamProtocolConfig',
    value: { httpProtocolOptions: {}, http2ProtocolOptions: {} },
  },
} as const satisfies Record<
  Exclude<UpstreamHttp, 'none'>,
  Init<typeof HttpProtocolOptionsSchema>['upstreamProtocolOptions']
>;
