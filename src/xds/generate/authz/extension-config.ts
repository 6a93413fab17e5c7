import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { TypedExtensionConfigSchema } from '#gen/envoy-api/envoy/config/core/v3/extension_pb.js';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** One filter's configuration as a resource of extension discovery. */
export function extensionConfig<D extends DescMessage>(
  name: string,
  schema: D,
  message: MessageShape<D>,
): XdsResource {
  const config = create(TypedExtensionConfigSchema, {
    name,
    typedConfig: anyPack(schema, message),
  });
  return encodeResource(TYPE_URL.extensionConfig, name, TypedExtensionConfigSchema, config);
}
