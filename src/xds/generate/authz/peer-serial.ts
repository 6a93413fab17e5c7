import { create } from '@bufbuild/protobuf';
import {
  type Filter,
  FilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ConfigSchema } from '#gen/envoy-api/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js';
import { typedConfig } from '#xds/generate/proto-values.ts';

/** Where a connection keeps the serial number of its caller's certificate. */
export const PEER_SERIAL_KEY = 'bulwark.peer_serial';

/**
 * Notes the serial of the caller's certificate with the connection, once, so that later filters can
 * refuse it by that: they have no other way to see it.
 */
export const PEER_SERIAL: Filter = create(FilterSchema, {
  name: 'peer_serial',
  configType: typedConfig(ConfigSchema, {
    onDownstreamTlsHandshake: [
      {
        key: { case: 'objectKey', value: PEER_SERIAL_KEY },
        factoryKey: 'envoy.string',
        value: {
          case: 'formatString',
          value: {
            format: {
              case: 'textFormatSource',
              value: { specifier: { case: 'inlineString', value: '%DOWNSTREAM_PEER_SERIAL%' } },
            },
          },
        },
        skipIfEmpty: true,
      },
    ],
  }),
});
