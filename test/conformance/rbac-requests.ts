import type { AuthzRequest } from '#policy/authz/request.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import {
  leavesOf,
  metadataKey,
  type RbacNode,
  type RbacV2,
  sampleOf,
  type V2Request,
} from './rbac-v2.ts';

/** A request as texts by attribute; what is undefined it does not have. */
export type Attributes = Readonly<Record<string, string | undefined>>;

const NOTHING: Attributes = {
  ':method': 'OPTIONS',
  ':path': '/none',
  ':authority': 'none',
  sourceIp: '203.0.113.9',
  destinationIp: '203.0.113.8',
  port: '1',
};

const CLAIM = 'istio_authn request.auth.claims ';

/** Claims that are attributes of their own in version 2. */
const NAMED_CLAIMS: Readonly<Record<string, string>> = {
  'istio_authn request.auth.audiences': 'aud',
  'istio_authn request.auth.presenter': 'azp',
};

/** Attributes with which a leaf holds, as far as a real request can have them. */
function attributesFor(leaf: RbacNode): Attributes {
  const { header, urlPath, metadata, sourceIp, destinationIp, requestedServerName } = leaf;
  if (header) {
    const { name, exactMatch, prefixMatch, suffixMatch } = header;
    const text = exactMatch ?? (prefixMatch === undefined ? suffixMatch : `${prefixMatch}x`);
    return { [name.toLowerCase()]: text ?? '/x' };
  }
  if (urlPath) return { ':path': withSlash(sampleOf(urlPath.path)) };
  if (metadata) return attributesForMetadata(metadata);
  if (sourceIp) return { sourceIp: sourceIp.addressPrefix };
  if (destinationIp) return { destinationIp: destinationIp.addressPrefix };
  if (leaf.destinationPort !== undefined) return { port: String(leaf.destinationPort) };
  return requestedServerName ? { serverName: sampleOf(requestedServerName) } : {};
}

function withSlash(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function attributesForMetadata(metadata: NonNullable<RbacNode['metadata']>): Attributes {
  const { stringMatch, listMatch } = metadata.value;
  const match = stringMatch ?? listMatch?.oneOf.stringMatch ?? {};
  const key = metadataKey(metadata);
  const text = sampleOf(match);
  if (key === 'istio_authn source.principal') return { principal: text };
  if (key.startsWith(CLAIM)) return { [`claim ${key.slice(CLAIM.length)}`]: text };
  const named = NAMED_CLAIMS[key];
  if (named) return { [`claim ${named}`]: text };
  if (key !== 'istio_authn request.auth.principal') return { [`metadata ${key}`]: text };
  // Of a token it is `<issuer>/<subject>`, so it always has a slash.
  const slash = text.lastIndexOf('/');
  if (slash >= 0) return { 'claim iss': text.slice(0, slash), 'claim sub': text.slice(slash + 1) };
  const isSuffix = match.suffix !== undefined;
  return isSuffix
    ? { 'claim iss': 'x', 'claim sub': text }
    : { 'claim iss': text, 'claim sub': 'x' };
}

/** Attributes that are likely to meet a tree: all of AND, one of OR, nothing of NOT. */
function likely(node: RbacNode, random: () => number): Attributes {
  const { andRules, orRules, andIds, orIds, notRule, notId } = node;
  const every = andRules?.rules ?? andIds?.ids;
  if (every) return Object.assign({}, ...every.map((child) => likely(child, random)));
  const some = orRules?.rules ?? orIds?.ids;
  if (some) {
    const chosen = some[Math.floor(random() * some.length)];
    return chosen ? likely(chosen, random) : {};
  }
  return notRule || notId ? {} : attributesFor(node);
}

/** The same numbers in every run. */
function seeded(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/**
 * Requests that exercise every leaf of a message: such that are likely to be let in, and each of
 * them with one attribute that some leaf asks for, or without it.
 */
export function* requestsFor({ policies }: RbacV2, rounds: number): Generator<Attributes> {
  const random = seeded();
  for (const { permissions, principals } of Object.values(policies)) {
    const leaves = [...permissions, ...principals].flatMap(leavesOf).map(attributesFor);
    for (let round = 0; round < rounds; round += 1) {
      const permission = permissions[round % permissions.length];
      const principal = principals[round % principals.length];
      const asked = {
        ...NOTHING,
        ...(permission && likely(permission, random)),
        ...(principal && likely(principal, random)),
      };
      yield asked;
      for (const change of leaves) {
        yield { ...asked, ...change };
        const without = Object.keys(change).map((name) => [name, NOTHING[name]] as const);
        yield { ...asked, ...Object.fromEntries(without) };
      }
    }
  }
}

/** The request as version 2 of Envoy's API sees it. */
export function asV2(attributes: Attributes): V2Request {
  const { sourceIp = '', destinationIp = '', port, serverName = '', principal } = attributes;
  const metadata: Record<string, string | readonly string[] | undefined> = {
    'istio_authn source.principal': principal,
  };
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    if (name.startsWith('metadata ')) metadata[name.slice('metadata '.length)] = value;
    if (name.startsWith('claim ')) metadata[CLAIM + name.slice('claim '.length)] = [value];
  }
  for (const [key, claim] of Object.entries(NAMED_CLAIMS))
    metadata[key] = attributes[`claim ${claim}`];
  const [issuer, subject] = [attributes['claim iss'], attributes['claim sub']];
  if (issuer !== undefined && subject !== undefined)
    metadata['istio_authn request.auth.principal'] = `${issuer}/${subject}`;
  return {
    headers: attributes,
    path: attributes[':path'] ?? '',
    sourceIp,
    destinationIp,
    destinationPort: Number(port),
    serverName,
    metadata,
  };
}

/** The request as our evaluator takes it. */
export function asOurs(attributes: Attributes): AuthzRequest {
  const { sourceIp = '', destinationIp, port, serverName, principal } = attributes;
  const named = (prefix: string): [string, string][] =>
    Object.entries(attributes).flatMap(([name, value]) =>
      name.startsWith(prefix) && value !== undefined ? [[name.slice(prefix.length), value]] : [],
    );
  const metadata: Record<string, Record<string, string>> = {};
  for (const [place, value] of named('metadata ')) {
    const [filter = '', key = ''] = place.split(' ');
    metadata[filter] = { ...metadata[filter], [key]: value };
  }
  const isHeader = (name: string) => /^[a-z-]+$/.test(name) && name.includes('-');
  const headers = Object.entries(attributes).filter(
    (entry): entry is [string, string] => isHeader(entry[0]) && entry[1] !== undefined,
  );
  return {
    source: {
      address: sourceIp,
      // Not all that these messages name is a SPIFFE id.
      ...(principal === undefined ? {} : { identity: `spiffe://${principal}` as SpiffeId }),
    },
    destination: { port: Number(port), address: destinationIp },
    serverName,
    http: {
      method: attributes[':method'] ?? '',
      target: attributes[':path'] ?? '',
      host: attributes[':authority'],
      headers: Object.fromEntries(headers),
      claims: Object.fromEntries(named('claim ')),
    },
    metadata,
  };
}
