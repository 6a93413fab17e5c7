import { createHash } from 'node:crypto';
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';

/** Type URLs of the resources that we serve. */
export const TYPE_URL = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  extensionConfig: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  runtime: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
} as const;

/** One of the type URLs above. */
export type TypeUrl = (typeof TYPE_URL)[keyof typeof TYPE_URL];

/**
 * One resource, encoded once and shared by every proxy that gets it. Immutable; the object's
 * identity may be used to tell whether two proxies get the same bytes.
 */
export interface XdsResource {
  readonly typeUrl: TypeUrl;
  readonly name: string;
  /** A hash of the content: same content, same version, over restarts too. */
  readonly version: string;
  /** Wire bytes of an envoy.service.discovery.v3.Resource: name, version and the message as Any. */
  readonly encoded: Uint8Array;
  /** With which other one it changes as if both were one; absent = it changes by itself. */
  readonly joint?: JointChange;
}

/**
 * A resource that refuses something, which together with another one makes one decision. Envoy
 * takes resources one after the other, so a change of both would be a mixture for a moment, which
 * may let in what both the old and the new pair refuse.
 */
interface JointChange {
  /** Name of the other one, of the same type. */
  readonly other: string;
  /**
   * What refuses whatever this one or an earlier one of the same name refuses. While it is in
   * force the other one may change: each decision is then that of the old pair or of the new one.
   * The same pair gives the same object.
   */
  join(before: XdsResource): XdsResource;
}

/**
 * Everything one proxy may have at one moment, by type and name. Types with nothing may be absent.
 */
export type XdsSnapshot = ReadonlyMap<TypeUrl, ReadonlyMap<string, XdsResource>>;

/** Encodes a message as a resource. Deterministic: same message, same bytes. */
export function encodeResource<D extends DescMessage>(
  typeUrl: TypeUrl,
  name: string,
  schema: D,
  message: MessageShape<D>,
): XdsResource {
  const value = toBinary(schema, message);
  const version = createHash('sha256').update(value).digest('base64url').slice(0, 16);
  const resource = create(AnySchema, { typeUrl, value });
  const encoded = toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource }));
  return { typeUrl, name, version, encoded };
}
