import { createPrivateKey } from 'node:crypto';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ValidJwtSvid } from '#agent/jwt/validate-jwt-svid.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { KnownBundles } from '#agent/trust/known-bundles.ts';
import type { IssuedToken } from '#caclient/token-messages.ts';
import { decodePem } from '#pki/pem.ts';

/**
 * The answers of the SPIFFE Workload API, written by hand as those of SDS are; a test compares them
 * with the generated code.
 */

/**
 * An X509SVIDResponse with the one identity of a workload. Everything is DER: the leaf with its
 * intermediates, the key as PKCS #8, the roots one after another (SPIFFE Workload API 5.2.1).
 */
export function encodeX509Svids(secret: WorkloadSecret): Uint8Array {
  const key = createPrivateKey(secret.privateKeyPem.reveal());
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(secret.identity);
  writer.tag(2, WireType.LengthDelimited).bytes(derOf(secret.chainPem, 'CERTIFICATE'));
  writer.tag(3, WireType.LengthDelimited).bytes(key.export({ type: 'pkcs8', format: 'der' }));
  writer.tag(4, WireType.LengthDelimited).bytes(derOf(secret.rootsPem, 'CERTIFICATE'));
  writer.join();
  for (const crl of crlsOf(secret)) writer.tag(2, WireType.LengthDelimited).bytes(crl);
  const own = trustDomainId(secret.identity);
  for (const [id, roots] of rootsById(secret)) if (id !== own) writeEntry(writer, 3, id, roots);
  return writer.finish();
}

/**
 * An X509BundlesResponse with the roots of every trust domain that the workload knows, under the
 * SPIFFE ID of the domain (SPIFFE Workload API 5.2.2).
 */
export function encodeX509Bundles(secret: WorkloadSecret): Uint8Array {
  const writer = new BinaryWriter();
  for (const crl of crlsOf(secret)) writer.tag(1, WireType.LengthDelimited).bytes(crl);
  for (const [id, roots] of rootsById(secret)) writeEntry(writer, 2, id, roots);
  return writer.finish();
}

/**
 * A JWTBundlesResponse: for every trust domain a JWK set with its keys for tokens (SPIFFE Workload
 * API 6.2.2).
 */
export function encodeJwtBundles({ byDomain }: KnownBundles): Uint8Array {
  const writer = new BinaryWriter();
  for (const [name, { jwtAuthorities }] of byDomain) {
    const keys = Buffer.from(JSON.stringify({ keys: jwtAuthorities }));
    writeEntry(writer, 1, `spiffe://${name}`, keys);
  }
  return writer.finish();
}

/** A JWTSVIDResponse with one token. */
export function encodeJwtSvids({ identity, token }: IssuedToken): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(identity);
  writer.tag(2, WireType.LengthDelimited).string(token);
  return writer.join().finish();
}

/** A ValidateJWTSVIDResponse. */
export function encodeValidation({ identity, claims }: ValidJwtSvid): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(identity);
  writeStruct(writer.tag(2, WireType.LengthDelimited), claims);
  return writer.finish();
}

/** What a JWTSVIDRequest asks for. */
export interface JwtSvidRequest {
  readonly audience: readonly string[];
  /** '' for any. */
  readonly spiffeId: string;
}

/** @throws Error when the bytes are no JWTSVIDRequest */
export function decodeJwtSvidRequest(bytes: Uint8Array): JwtSvidRequest {
  const texts = textsOf(bytes);
  return { audience: texts.get(1) ?? [], spiffeId: texts.get(2)?.at(-1) ?? '' };
}

/**
 * The audience and the token of a ValidateJWTSVIDRequest.
 * @throws Error when the bytes are none
 */
export function decodeValidationRequest(bytes: Uint8Array) {
  const texts = textsOf(bytes);
  return { audience: texts.get(1)?.at(-1) ?? '', token: texts.get(2)?.at(-1) ?? '' };
}

function textsOf(bytes: Uint8Array): ReadonlyMap<number, readonly string[]> {
  const reader = new BinaryReader(bytes);
  const texts = new Map<number, string[]>();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type !== WireType.LengthDelimited) reader.skip(type);
    else texts.set(field, [...(texts.get(field) ?? []), reader.string()]);
  }
  return texts;
}

/** An entry of a map<string, bytes>. */
function writeEntry(writer: BinaryWriter, field: number, key: string, value: Uint8Array): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(key);
  writer.tag(2, WireType.LengthDelimited).bytes(value);
  writer.join();
}

/** A google.protobuf.Struct. */
function writeStruct(writer: BinaryWriter, members: object): void {
  writer.fork();
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name);
    writeValue(writer.tag(2, WireType.LengthDelimited), value);
    writer.join();
  }
  writer.join();
}

/** A google.protobuf.Value. */
function writeValue(writer: BinaryWriter, value: unknown): void {
  writer.fork();
  if (typeof value === 'number') writer.tag(2, WireType.Bit64).double(value);
  else if (typeof value === 'string') writer.tag(3, WireType.LengthDelimited).string(value);
  else if (typeof value === 'boolean') writer.tag(4, WireType.Varint).bool(value);
  else if (Array.isArray(value)) {
    writer.tag(6, WireType.LengthDelimited).fork();
    for (const one of value) writeValue(writer.tag(1, WireType.LengthDelimited), one);
    writer.join();
  } else if (typeof value === 'object' && value !== null)
    writeStruct(writer.tag(5, WireType.LengthDelimited), value);
  else writer.tag(1, WireType.Varint).int32(0);
  writer.join();
}

/** Roots, DER one after another; those of the workload's own domain under all its names. */
function rootsById(secret: WorkloadSecret): ReadonlyMap<string, Uint8Array> {
  const { identity, rootsPem, bundles } = secret;
  const own = derOf(rootsPem, 'CERTIFICATE');
  const roots = new Map<string, Uint8Array>([[trustDomainId(identity), own]]);
  for (const [name, other] of bundles?.byDomain ?? []) {
    const isOwn = bundles?.own.includes(name) ?? false;
    if (isOwn) roots.set(`spiffe://${name}`, own);
    else if (other.rootsPem !== '')
      roots.set(`spiffe://${name}`, derOf(other.rootsPem, 'CERTIFICATE'));
  }
  return roots;
}

/** `spiffe://cluster.local` of an identity in that trust domain. */
function trustDomainId(identity: string): string {
  return identity.split('/').slice(0, 3).join('/');
}

function derOf(pem: string, label: string): Uint8Array {
  return Buffer.concat(decodePem(pem, [label]));
}

function crlsOf({ crlPem = '' }: WorkloadSecret): readonly Uint8Array[] {
  return crlPem === '' ? [] : decodePem(crlPem, ['X509 CRL']);
}
