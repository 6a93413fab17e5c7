import { hash } from 'node:crypto';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { encodeMessage, field, type MessageField } from '#base/message-writer.ts';

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
  return encodeMessage(
    ...resources.map(({ name, version, secret }) =>
      field(2, [field(1, version), field(2, anyOf(SECRET_TYPE_URL, secret)), field(3, name)]),
    ),
    field(4, SECRET_TYPE_URL),
    field(5, nonce),
    ...removed.map((name) => field(6, name)),
  );
}

/** A DiscoveryResponse (state of the world). */
export function encodeWorldResponse(
  resources: readonly SecretResource[],
  version: string,
  nonce: string,
): Buffer {
  return encodeMessage(
    field(1, version),
    ...resources.map(({ secret }) => field(2, anyOf(SECRET_TYPE_URL, secret))),
    field(4, SECRET_TYPE_URL),
    field(5, nonce),
  );
}

/** A Secret with a tls_certificate: private key and chain, both PEM. */
export function encodeTlsCertificate(name: string, chainPem: string, keyPem: string): Uint8Array {
  const certificate = [field(1, inlineBytes(chainPem)), field(2, inlineBytes(keyPem))];
  return encodeMessage(field(1, name), field(2, certificate));
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
  const context = [field(1, inlineBytes(rootsPem))];
  if (crlPem !== '') context.push(field(7, inlineBytes(crlPem)));
  if (crlPem !== '' && isLeafOnly) context.push(field(14, 1));
  return encodeMessage(field(1, name), field(4, context));
}

/**
 * A Secret with a validation_context by which each peer is verified with the roots of its own trust
 * domain and no others (SPIFFECertValidatorConfig).
 */
export function encodeSpiffeContext(
  name: string,
  rootsPemByDomain: ReadonlyMap<string, string>,
): Uint8Array {
  const domains = [...rootsPemByDomain].map(([trustDomain, rootsPem]) =>
    field(1, [field(1, trustDomain), field(2, inlineBytes(rootsPem))]),
  );
  const config = anyOf(SPIFFE_VALIDATOR_URL, domains);
  const validator = [field(1, 'envoy.tls.cert_validator.spiffe'), field(2, config)];
  return encodeMessage(field(1, name), field(4, [field(12, validator)]));
}

/** A google.protobuf.Any. */
function anyOf(typeUrl: string, content: Uint8Array | readonly MessageField[]): MessageField[] {
  return [field(1, typeUrl), field(2, content)];
}

/** An envoy.config.core.v3.DataSource with inline_bytes. */
function inlineBytes(text: string): MessageField[] {
  return [field(2, text)];
}
