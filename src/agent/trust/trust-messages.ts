import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { SECRET_TYPE_URL } from '#agent/sds/messages.ts';
import type { TrustBundle } from '#agent/trust/trust-bundle.ts';

/** Who asks, as its Envoy says it: fields of envoy.config.core.v3.Node. */
export interface TrustNode {
  readonly id: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What is sent: a subscription (with the node, once) or an answer. */
export interface TrustRequest {
  readonly node?: TrustNode;
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: string;
  /** The response that this answers. */
  readonly nonce?: string;
  /** Why that response was not taken. */
  readonly refusal?: string;
}

/** What the control plane sent. */
export interface TrustResponse {
  readonly nonce: string;
  /** By the name of its secret. */
  readonly bundles: ReadonlyMap<string, TrustBundle>;
  /** Other secrets of text, by name. */
  readonly texts: ReadonlyMap<string, string>;
}

/** google.rpc.Code INVALID_ARGUMENT. */
const REFUSED = 3;

/** Encodes a DeltaDiscoveryRequest; by hand, for the reason that sds/messages.ts gives. */
export function encodeTrustRequest(request: TrustRequest): Buffer {
  const { node, subscribe, unsubscribe, nonce, refusal } = request;
  const writer = new BinaryWriter();
  if (node) writeNode(writer.tag(1, WireType.LengthDelimited), node);
  writer.tag(2, WireType.LengthDelimited).string(SECRET_TYPE_URL);
  for (const name of subscribe ?? []) writer.tag(3, WireType.LengthDelimited).string(name);
  if (unsubscribe !== undefined) writer.tag(4, WireType.LengthDelimited).string(unsubscribe);
  if (nonce !== undefined) writer.tag(6, WireType.LengthDelimited).string(nonce);
  if (refusal !== undefined) {
    writer.tag(7, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int32(REFUSED);
    writer.tag(2, WireType.LengthDelimited).string(refusal);
    writer.join();
  }
  return Buffer.from(writer.finish());
}

function writeNode(writer: BinaryWriter, { id, metadata }: TrustNode): void {
  writer.fork();
  writer.tag(1, WireType.LengthDelimited).string(id);
  // google.protobuf.Struct: a map of names to values, here text only.
  writer.tag(3, WireType.LengthDelimited).fork();
  for (const [name, value] of Object.entries(metadata)) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name);
    writer.tag(2, WireType.LengthDelimited).fork();
    writer.tag(3, WireType.LengthDelimited).string(value);
    writer.join().join();
  }
  writer.join().join();
}

/**
 * The secrets with a validation context or a text in a DeltaDiscoveryResponse; others are left out.
 * @throws Error when the bytes are no such message
 */
export function decodeTrustResponse(bytes: Uint8Array): TrustResponse {
  const bundles = new Map<string, TrustBundle>();
  const texts = new Map<string, string>();
  const response = partsOf(bytes);
  for (const resource of response.get(2) ?? []) {
    // Resource.resource (an Any), Any.value: the Secret; Secret.name, Secret.validation_context,
    // Secret.generic_secret.secret.inline_bytes.
    const secret = partAt(resource, [2, 2]);
    const context = secret && partAt(secret, [4]);
    const generic = secret && partAt(secret, [5, 1, 2]);
    if (secret && context) bundles.set(text(partAt(secret, [1])), bundleIn(context));
    if (secret && generic) texts.set(text(partAt(secret, [1])), text(generic));
  }
  return { nonce: text(response.get(5)?.at(-1)), bundles, texts };
}

/** An envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext. */
function bundleIn(context: Uint8Array): TrustBundle {
  return {
    rootsPem: text(partAt(context, [1, 2])),
    crlPem: text(partAt(context, [7, 2])),
    isLeafOnly: isSet(context, 14),
  };
}

/** Whether a field that is a truth value is true. */
function isSet(bytes: Uint8Array, wanted: number): boolean {
  const reader = new BinaryReader(bytes);
  let value = false;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === WireType.Varint) value = reader.bool();
    else reader.skip(type);
  }
  return value;
}

/** The last field of the first number, in it that of the second, and so on. */
function partAt(bytes: Uint8Array, path: readonly number[]): Uint8Array | undefined {
  let part: Uint8Array | undefined = bytes;
  for (const field of path) part = part && partsOf(part).get(field)?.at(-1);
  return part;
}

/** The fields of a message that are texts, bytes or messages, by their numbers. */
function partsOf(bytes: Uint8Array): ReadonlyMap<number, readonly Uint8Array[]> {
  const reader = new BinaryReader(bytes);
  const parts = new Map<number, Uint8Array[]>();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type !== WireType.LengthDelimited) reader.skip(type);
    else parts.set(field, [...(parts.get(field) ?? []), reader.bytes()]);
  }
  return parts;
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('utf8');
}
