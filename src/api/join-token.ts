import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { Secret } from '#api/kinds/secret.ts';

/** What a join token is bound to. */
export interface JoinTokenBinding {
  /** The namespace of the identity, and of the object. */
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The uid of the service account: the token ends with it. */
  readonly accountUid: string;
  /** Wall-clock milliseconds, whole seconds. */
  readonly expiresAt: number;
  /** Addresses that it may be used from; anywhere when left out. */
  readonly cidr?: string | undefined;
}

/** A join token as it is kept: what it is bound to, and nothing that could be used in its place. */
export interface JoinToken extends JoinTokenBinding {
  /** Public; part of the name of the object. */
  readonly id: string;
  /** SHA-256 of the secret. */
  readonly hash: Uint8Array;
  /** When it was used, RFC 3339; undefined = not yet. */
  readonly usedAt: string | undefined;
  /** The address it was used from. */
  readonly usedFrom: string | undefined;
}

/** The parts of the text that a machine presents. */
export interface PresentedJoinToken {
  readonly namespace: string;
  readonly id: string;
  readonly secret: string;
}

/** The type of the Secret objects that join tokens are kept in. */
export const JOIN_TOKEN_TYPE = 'bulwark.mesh/join-token';
/** Bytes of the secret (128 bits are the least that is fit for a secret; these are twice that). */
export const JOIN_SECRET_BYTES = 32;
/** Bytes of the id. */
export const JOIN_ID_BYTES = 8;

const NAME_PREFIX = 'bulwark-join-';
const TEXT = /^bwj_([a-z0-9][a-z0-9-]{0,62})_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/**
 * The text of a token: `bwj_<namespace>_<id>_<secret>`. It is shown once and kept nowhere.
 * @param secret JOIN_SECRET_BYTES random bytes
 */
export function formatJoinToken(
  { namespace, id }: { readonly namespace: string; readonly id: string },
  secret: Uint8Array,
): string {
  return `bwj_${namespace}_${id}_${Buffer.from(secret).toString('base64url')}`;
}

/** Takes the text apart; undefined when it is no join token. */
export function parseJoinToken(text: string): PresentedJoinToken | undefined {
  const [, namespace, id, secret] = TEXT.exec(text) ?? [];
  if (namespace === undefined || id === undefined || secret === undefined) return undefined;
  return { namespace, id, secret };
}

/** The name of the Secret that a token is kept in. */
export function joinTokenName(id: string): string {
  return `${NAME_PREFIX}${id}`;
}

/**
 * The object that a new token is kept in, in the namespace of its identity: who may write Secrets
 * there may make tokens for its accounts, as with the token Secrets of Kubernetes.
 */
export function joinTokenObject(id: string, secret: Uint8Array, binding: JoinTokenBinding): Secret {
  const { namespace, serviceAccount, accountUid, expiresAt, cidr } = binding;
  const text = Buffer.from(secret).toString('base64url');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: joinTokenName(id), namespace },
    type: JOIN_TOKEN_TYPE,
    data: encoded({
      hash: hashOf(text),
      serviceAccount,
      accountUid,
      expiresAt: instant(expiresAt),
      ...(cidr === undefined ? {} : { cidr }),
    }),
  };
}

/** Reads the object of a token; undefined when it is none, or damaged. */
export function readJoinToken(object: Secret): JoinToken | undefined {
  const { name, namespace = '' } = object.metadata;
  if (object.type !== JOIN_TOKEN_TYPE || !name.startsWith(NAME_PREFIX)) return undefined;
  const field = (key: string): string | undefined => {
    const value = object.data?.[key];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
  };
  const [hash, serviceAccount, accountUid] = [
    field('hash'),
    field('serviceAccount'),
    field('accountUid'),
  ];
  const expiresAt = Date.parse(field('expiresAt') ?? '');
  if (!hash || !serviceAccount || !accountUid || Number.isNaN(expiresAt)) return undefined;
  return {
    id: name.slice(NAME_PREFIX.length),
    namespace,
    serviceAccount,
    accountUid,
    expiresAt,
    cidr: field('cidr'),
    hash: Buffer.from(hash, 'hex'),
    usedAt: field('usedAt'),
    usedFrom: field('usedFrom'),
  };
}

/** The object of a token once it was used: kept until it expires, so that people see by whom. */
export function usedJoinTokenObject(
  object: Secret,
  use: { readonly at: number; readonly from: string },
): Secret {
  const data = { ...object.data, ...encoded({ usedAt: instant(use.at), usedFrom: use.from }) };
  return { ...object, data };
}

/** Whether the secret is that of the token; takes the same time whatever is wrong with it. */
export function joinSecretFits(token: JoinToken, secret: string): boolean {
  const hash = Buffer.from(hashOf(secret), 'hex');
  return token.hash.length === hash.length && timingSafeEqual(hash, token.hash);
}

/** Whether `text` is a range of addresses: `10.0.0.0/8`, `fd00::/8`. */
export function isCidr(text: string): boolean {
  return rangeOf(text) !== undefined;
}

/** Whether an IP address lies in a range; never when either is none. */
export function cidrHolds(cidr: string, address: string): boolean {
  const range = rangeOf(cidr);
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  const version = isIP(plain);
  if (!range || version === 0) return false;
  return range.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

function rangeOf(text: string): BlockList | undefined {
  const [, address = '', bits = ''] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0 || Number(bits) > (version === 4 ? 32 : 128)) return undefined;
  const range = new BlockList();
  range.addSubnet(address, Number(bits), version === 4 ? 'ipv4' : 'ipv6');
  return range;
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function encoded(fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
