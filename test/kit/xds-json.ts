import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  toJson,
} from '@bufbuild/protobuf';
import { anyUnpack, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import {
  encodeResource,
  TYPE_URL,
  type TypeUrl,
  type XdsResource,
  type XdsSnapshot,
} from '#xds/resource.ts';

let known: FileRegistry | undefined;

/** Every message that Envoy knows, out of its own descriptors. */
function envoyRegistry(): FileRegistry {
  if (!known) {
    const bytes = readFileSync(new URL('../../gen/envoy.binpb', import.meta.url));
    known = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  }
  return known;
}

/** A resource as the JSON that Envoy reads in a bootstrap. */
export function resourceJson(resource: XdsResource): JsonValue {
  const registry = envoyRegistry();
  const any = fromBinary(ResourceSchema, resource.encoded).resource;
  const message = any && anyUnpack(any, registry);
  const schema = message && registry.getMessage(message.$typeName);
  if (!message || !schema) throw new Error(`${resource.typeUrl} is not a message of Envoy`);
  return toJson(schema, message, { registry, useProtoFieldName: true });
}

/** A resource from the JSON that Envoy reads in a bootstrap. */
export function resourceFromJson(typeUrl: TypeUrl, json: JsonObject): XdsResource {
  const registry = envoyRegistry();
  const schema = registry.getMessage(typeUrl.slice(typeUrl.indexOf('/') + 1));
  if (!schema) throw new Error(`${typeUrl} is not a message of Envoy`);
  const name = String(json.name ?? json.cluster_name);
  return encodeResource(typeUrl, name, schema, fromJson(schema, json, { registry }));
}

/** The types of a snapshot by short names, each with its resources in their order. */
export function snapshotJson(
  snapshot: XdsSnapshot,
): Record<keyof typeof TYPE_URL, readonly JsonValue[]> {
  const entries = Object.entries(TYPE_URL).map(([name, typeUrl]) => [
    name,
    [...(snapshot.get(typeUrl)?.values() ?? [])].map(resourceJson),
  ]);
  return Object.fromEntries(entries) as Record<keyof typeof TYPE_URL, readonly JsonValue[]>;
}
