import type { DerReader } from '#pki/der-read.ts';
import {
  contextTag,
  type DerPart,
  element,
  encodeDer,
  namedBits,
  octetString,
  oid,
  sequence,
  TAG,
  TRUE,
  unsignedInteger,
} from '#pki/der-write.ts';
import {
  encodeUriConstraint,
  type NameConstraints,
  parseNameConstraints,
} from '#pki/name-constraints.ts';
import { OID } from '#pki/object-ids.ts';
import { encodeNames, NO_NAMES, parseNames, type SubjectAltNames } from '#pki/subject-alt-name.ts';

/** Key usages; several are added up with `|` (RFC 5280 section 4.2.1.3, bit n as 1 << n). */
export const KEY_USAGE = {
  digitalSignature: 1 << 0,
  keyEncipherment: 1 << 2,
  keyCertSign: 1 << 5,
  crlSign: 1 << 6,
} as const;

/** What the key of a leaf may do. */
export const LEAF_USAGE = KEY_USAGE.digitalSignature | KEY_USAGE.keyEncipherment;

/** What a certificate may be used for in TLS (RFC 5280 section 4.2.1.12). */
export type TlsPurpose = 'serverAuth' | 'clientAuth';

/** The extensions that we know, read; what is absent is undefined, false or empty. */
export interface Extensions {
  readonly names: SubjectAltNames;
  readonly isCa: boolean;
  /** How many CA certificates may follow below; undefined = no bound. */
  readonly pathLength: number | undefined;
  /** As in KEY_USAGE; undefined = the extension is absent. */
  readonly keyUsage: number | undefined;
  /** Object identifiers; undefined = the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Lower case hex. */
  readonly subjectKeyId: string | undefined;
  readonly authorityKeyId: string | undefined;
  /** What an authority, and all below it, may name; undefined = anything. */
  readonly nameConstraints: NameConstraints | undefined;
  /**
   * Object identifiers of critical extensions that we do not know: whoever relies on the
   * certificate must refuse it.
   */
  readonly unknownCritical: readonly string[];
}

const KEY_ID_TAG = contextTag(0, 'primitive');
const EXTENSIONS_MAX = 64;
const NAMES_ID = oid(OID.subjectAltName);
const REQUEST_ID = oid(OID.extensionRequest);

/** Extensions of a thing that has none. */
export const NO_EXTENSIONS: Extensions = {
  names: NO_NAMES,
  isCa: false,
  pathLength: undefined,
  keyUsage: undefined,
  extendedKeyUsage: undefined,
  subjectKeyId: undefined,
  authorityKeyId: undefined,
  nameConstraints: undefined,
  unknownCritical: [],
};

type Found = { -readonly [Field in keyof Extensions]: Extensions[Field] };

/**
 * Reads `Extensions` (RFC 5280 section 4.1).
 * @throws BulwarkError PKI_MALFORMED, also for an extension that stands there twice
 */
export function parseExtensions(outer: DerReader): Extensions {
  const list = outer.inside(TAG.sequence);
  const found: Found = { ...NO_EXTENSIONS };
  const seen: string[] = [];
  while (!list.isAtEnd) {
    const extension = list.inside(TAG.sequence);
    const id = extension.oid();
    const isCritical = extension.nextIs(TAG.boolean) && extension.boolean();
    const value = extension.inside(TAG.octetString);
    extension.end();
    if (seen.includes(id)) throw list.malformed(`extension ${id} stands there twice`);
    seen.push(id);
    if (seen.length > EXTENSIONS_MAX) throw list.malformed('it has too many extensions');
    const isKnown = readExtension(id, value, found);
    if (!isKnown && isCritical) found.unknownCritical = [...found.unknownCritical, id];
  }
  return found;
}

function readExtension(id: string, value: DerReader, found: Found): boolean {
  switch (id) {
    case OID.subjectAltName:
      found.names = parseNames(value);
      return true;
    case OID.basicConstraints:
      readBasicConstraints(value, found);
      return true;
    case OID.keyUsage:
      found.keyUsage = value.namedBits();
      value.end();
      return true;
    case OID.extendedKeyUsage:
      found.extendedKeyUsage = readPurposes(value);
      return true;
    case OID.subjectKeyId:
      found.subjectKeyId = hex(value.contents(TAG.octetString));
      value.end();
      return true;
    case OID.authorityKeyId: {
      const fields = value.inside(TAG.sequence);
      value.end();
      if (fields.nextIs(KEY_ID_TAG)) found.authorityKeyId = hex(fields.contents(KEY_ID_TAG));
      return true;
    }
    case OID.nameConstraints:
      found.nameConstraints = parseNameConstraints(value);
      return true;
    default:
      return false;
  }
}

function readBasicConstraints(value: DerReader, found: Found): void {
  const fields = value.inside(TAG.sequence);
  value.end();
  found.isCa = fields.nextIs(TAG.boolean) && fields.boolean();
  if (fields.nextIs(TAG.integer)) found.pathLength = fields.smallInteger();
  fields.end();
  if (found.pathLength !== undefined && !found.isCa)
    throw fields.malformed('a path length without CA');
}

function readPurposes(value: DerReader): readonly string[] {
  const list = value.inside(TAG.sequence);
  value.end();
  const purposes: string[] = [];
  while (!list.isAtEnd) purposes.push(list.oid());
  return purposes;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

function extension(id: string, value: DerPart, form: 'critical' | 'plain'): Uint8Array {
  const critical = form === 'critical' ? [TRUE] : [];
  return encodeDer(sequence(oid(id), ...critical, octetString(value)));
}

/**
 * subjectAltName; critical, as RFC 5280 section 4.2.1.6 wants it beside an empty subject, and ours
 * all are.
 */
export function namesExtension(names: Partial<SubjectAltNames>): DerPart {
  return sequence(NAMES_ID, TRUE, octetString(encodeNames(names)));
}

/**
 * The extensions that all leaves of one issuer share: key usage, purposes, "no CA", and the
 * issuer's key.
 * @param issuerKeyId the subject key id of the issuer, hex; undefined when it has none
 */
export function leafExtensions(
  purposes: readonly TlsPurpose[],
  issuerKeyId: string | undefined,
): Uint8Array {
  return Buffer.concat([
    extension(OID.keyUsage, namedBits(LEAF_USAGE), 'critical'),
    extension(
      OID.extendedKeyUsage,
      sequence(...purposes.map((purpose) => oid(OID[purpose]))),
      'plain',
    ),
    extension(OID.basicConstraints, sequence(), 'critical'),
    issuerKey(issuerKeyId),
  ]);
}

function issuerKey(keyId: string | undefined): Uint8Array {
  if (keyId === undefined) return new Uint8Array();
  const value = sequence(element(KEY_ID_TAG, Buffer.from(keyId, 'hex')));
  return extension(OID.authorityKeyId, value, 'plain');
}

/** What the certificate of an authority says beside its key; what is left out is not in it. */
export interface AuthorityLimits {
  /** How many authorities may follow below. */
  readonly pathLength?: number;
  /** The only hosts (trust domains) whose URIs it may sign; empty = all. */
  readonly uriHosts?: readonly string[];
  /** The subject key id of who signs it, hex; none for a root. */
  readonly issuerKeyId?: string | undefined;
}

/**
 * The extensions of a certificate authority that signs itself.
 * @param keyId its own subject key id, hex
 */
export function rootExtensions(keyId: string, uriHosts: readonly string[] = []): Uint8Array {
  return authorityExtensions(keyId, { uriHosts });
}

/**
 * The extensions of a certificate authority.
 * @param keyId its own subject key id, hex
 */
export function authorityExtensions(keyId: string, limits: AuthorityLimits): Uint8Array {
  const { pathLength, uriHosts = [], issuerKeyId } = limits;
  const below = pathLength === undefined ? [] : [unsignedInteger(Uint8Array.of(pathLength))];
  return Buffer.concat([
    extension(
      OID.keyUsage,
      namedBits(KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign | KEY_USAGE.crlSign),
      'critical',
    ),
    extension(OID.basicConstraints, sequence(TRUE, ...below), 'critical'),
    extension(OID.subjectKeyId, octetString(Buffer.from(keyId, 'hex')), 'plain'),
    issuerKey(issuerKeyId),
    uriHosts.length === 0
      ? new Uint8Array()
      : extension(OID.nameConstraints, encodeUriConstraint(uriHosts), 'critical'),
  ]);
}

/**
 * The attribute of a request that asks for extensions (RFC 2985 section 5.4.2), as a whole
 * Attribute.
 */
export function extensionRequest(...extensions: readonly DerPart[]): DerPart {
  return sequence(REQUEST_ID, element(TAG.set, sequence(...extensions)));
}
