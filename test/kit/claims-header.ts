import { fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';

const NAME = 'x-test-claims';

/** The line of a request that stands for the payload of a verified token. */
export function claimsHeader(claims: Readonly<Record<string, unknown>>): string {
  const value = toBinary(ValueSchema, fromJson(ValueSchema, claims as JsonValue));
  return `${NAME}: ${Buffer.from(value).toString('base64')}`;
}

/** The filter that takes that payload, as the filter of tokens would leave it. */
export function claimsFilter() {
  return {
    name: 'claims',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config',
      request_rules: [
        {
          header: NAME,
          remove: true,
          on_header_present: {
            metadata_namespace: 'envoy.filters.http.jwt_authn',
            key: 'payload',
            type: 'PROTOBUF_VALUE',
            encode: 'BASE64',
          },
        },
      ],
    },
  };
}
