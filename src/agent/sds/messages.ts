import { hash } from 'node:crypto';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * The messages of SDS on the wire, by hand: a dozen fields of envoy.service.discovery.v3 and of
 * envoy.extensions.transport_sockets.tls.v3.Secret. The generated code for them costs an agent 30
 * MB of memory and 0.1 s at its start; a test compares the two.
 */
export const SECRET_TYPE_URL =
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

const SPIFFE_VALIDATOR_URL =
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';

/** What a client says in either variant of the protocol, of the fields that we use. */
export interface SdsRequest {
  readonly typeUrl: string;
  /** State of the world: all names that are wanted. Incremental: those wanted in addition. */
  readonly names: readonly string[];
  /** Incremental: those not wanted any more. */
  readonly unsubscribe: readonly string[];
  /** The response that this answers; '' for none. */
  readonly nonce: string;
  /** Why that response was not taken. */
  readonly rejection: string | undefined;
}

/** A secret by name; same content, same version. */
export interface VersionedSecret {
  readonly name: string;
  readonly version: string;
}

/** One secret as it is pushed. */
export interface SecretResource extends VersionedSecret {
  /** An encoded Secret message. */
  readonly secret: Uint8Array;
}

/** One secret that is encoded when somebody asks for it, in either of two ways. */
export interface RepeatableSecret extends VersionedSecret {
  /**
   * An encoded Secret message. With the line feed it has other bytes and means the same: for
   * pushing a rejected secret once more, since Envoy compares with the bytes that it saw last, and
   * would say yes to the same ones without looking at them.
   */
  readonly encode: (padding: '' | '\n') => Uint8Array;
}

/** The version of a secret with this content, which is not to hold the private key. */
export function versionOf(publicPart: string): string {
  return hash('sha256', publicPart, 'hex').slice(0, 16);
}

/** @throws Error when the bytes are no DeltaDiscoveryRequest */
export function decodeDeltaRequest(bytes: Uint8Array): SdsRequest {
  return decodeRequest(bytes, { typeUrl: 2, names: 3, unsubscribe: 4, nonce: 6, error: 7 });
}

/** @throws Error when the bytes are no DiscoveryRequest */
export function decodeWorldRequest(bytes: Uint8Array): SdsRequest {
  return decodeRequest(bytes, { typeUrl: 4, names: 3, unsubscribe: -1, nonce: 5, error: 6 });
}

interface RequestFields {
  readonly typeUrl: number;
  readonly names: number;
  readonly unsubscribe: number;
  readonly nonce: number;
  readonly error: number;
}

function decodeRequest(bytes: Uint8Array, fields: RequestFields): SdsRequest {
  const reader = new BinaryReader(bytes);
  const names: string[] = [];
  const unsubscribe: string[] = [];
  let typeUrl = '';
  let nonce = '';
  let rejection: string | undefined;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === fields.typeUrl) typeUrl = reader.string();
    else if (field === fields.names) names.push(reader.string());
    else if (field === fields.unsubscribe) unsubscribe.push(reader.string());
    else if (field === fields.nonce) nonce = reader.string();
    else if (field === fields.error) rejection = decodeStatusMessage(reader.bytes());
    else reader.skip(type);
  }
  return { typeUrl, names, unsubscribe, nonce, rejection };
}

/** The message of a google.rpc.Status. */
function decodeStatusMessage(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  let message = '';
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 2) message = reader.string();
    else reader.skip(type);
  }
  return message;
}

/** A DeltaDiscoveryResponse. */
export function encodeDeltaResponse(
  resources: readonly SecretResource[],
  removed: readonly string[],
  nonce: string,
): Buffer {
  const writer = new BinaryWriter();
  for (const { name, version, secret } of resources) {
    writer.tag(2, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(version);
    writeAny(writer, 2, secret);
    writer.tag(3, WireType.LengthDelimited).string(name);
    writer.join();
  }
  writer.tag(4, WireType.LengthDelimited).string(SECRET_TYPE_URL);
  writer.tag(5, WireType.LengthDelimited).string(nonce);
  for (const name of removed) writer.tag(6, WireType.LengthDelimited).string(name);
  return Buffer.from(writer.finish());
}

/** A DiscoveryResponse (state of the world). */
export function encodeWorldResponse(
  resources: readonly SecretResource[],
  version: string,
  nonce: string,
): Buffer {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(version);
  for (const { secret } of resources) writeAny(writer, 2, secret);
  writer.tag(4, WireType.LengthDelimited).string(SECRET_TYPE_URL);
  writer.tag(5, WireType.LengthDelimited).string(nonce);
  return Buffer.from(writer.finish());
}

/** A Secret with a tls_certificate: private key and chain, both PEM. */
export function encodeTlsCertificate(name: string, chainPem: string, keyPem: string): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(2, WireType.LengthDelimited).fork();
  writeInlineBytes(writer, 1, chainPem);
  writeInlineBytes(writer, 2, keyPem);
  return writer.join().finish();
}

/** What peers are verified against, PEM. */
interface ValidationContext {
  readonly rootsPem: string;
  /** Revocation lists; none when left out. */
  readonly crlPem?: string | undefined;
  /** Whether they are for the authorities above leaves only; true when left out. */
  readonly isLeafOnly?: boolean | undefined;
}

/** A Secret with a validation_context: the trusted roots and the revocation lists. */
export function encodeValidationContext(
  name: string,
  { rootsPem, crlPem = '', isLeafOnly = true }: ValidationContext,
): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(4, WireType.LengthDelimited).fork();
  writeInlineBytes(writer, 1, rootsPem);
  if (crlPem !== '') {
    writeInlineBytes(writer, 7, crlPem);
    if (isLeafOnly) writer.tag(14, WireType.Varint).bool(true);
  }
  return writer.join().finish();
}

/**
 * A Secret with a validation_context by which each peer is verified with the roots of its own trust
 * domain and no others (SPIFFECertValidatorConfig).
 */
export function encodeSpiffeContext(
  name: string,
  rootsPemByDomain: ReadonlyMap<string, string>,
): Uint8Array {
  const config = new BinaryWriter();
  for (const [trustDomain, rootsPem] of rootsPemByDomain) {
    config.tag(1, WireType.LengthDelimited).fork();
    config.tag(1, WireType.LengthDelimited).string(trustDomain);
    writeInlineBytes(config, 2, rootsPem);
    config.join();
  }
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(4, WireType.LengthDelimited).fork();
  writer.tag(12, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string('envoy.tls.cert_validator.spiffe');
  writer.tag(2, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(SPIFFE_VALIDATOR_URL);
  writer.tag(2, WireType.LengthDelimited).bytes(config.finish());
  return writer.join().join().join().finish();
}

/** A google.protobuf.Any that holds a Secret. */
function writeAny(writer: BinaryWriter, field: number, secret: Uint8Array): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(SECRET_TYPE_URL);
  writer.tag(2, WireType.LengthDelimited).bytes(secret);
  writer.join();
}

/** An envoy.config.core.v3.DataSource with inline_bytes. */
function writeInlineBytes(writer: BinaryWriter, field: number, text: string): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writer.tag(2, WireType.LengthDelimited).bytes(Buffer.from(text));
  writer.join();
}
