import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { type Any, anyPack, type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { type Address, AddressSchema } from '#gen/envoy-api/envoy/config/core/v3/address_pb.js';

/** The plain values that a message is made of, which can be put together of parts. */
export type Init<D extends DescMessage> = Exclude<MessageInitShape<D>, MessageShape<D>>;

/** A duration of whole milliseconds. */
export function duration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1e6 });
}

/** A message made and packed, for the many `typed_config` fields. */
export function pack<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Any {
  return anyPack(schema, create(schema, init) as MessageShape<D>);
}

/** The oneof that filters carry their configuration in. */
export function typedConfig<D extends DescMessage>(
  schema: D,
  init: MessageInitShape<D>,
): { readonly case: 'typedConfig'; readonly value: Any } {
  return { case: 'typedConfig', value: pack(schema, init) };
}

/** An IP address with a port; port 0 means any. */
export function socketAddress(address: string, port: number): Address {
  return create(AddressSchema, {
    address: {
      case: 'socketAddress',
      value: { address, portSpecifier: { case: 'portValue', value: port } },
    },
  });
}
