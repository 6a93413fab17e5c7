import type { Subject } from '#policy/authz/read-condition.ts';

/** The keys of `when` that stand for one attribute. */
const PLAIN_KEYS: Readonly<Record<string, Subject>> = {
  'source.ip': { on: 'sourceIp' },
  'remote.ip': { on: 'remoteIp' },
  'source.principal': { on: 'principal' },
  'source.namespace': { on: 'namespace' },
  'source.serviceAccount': { on: 'serviceAccount' },
  'source.trustDomain': { on: 'trustDomain' },
  'request.auth.principal': { on: 'requestPrincipal' },
  'request.auth.audiences': { on: 'claim', path: ['aud'] },
  'request.auth.presenter': { on: 'claim', path: ['azp'] },
  'destination.ip': { on: 'destinationIp' },
  'destination.port': { on: 'port' },
  'connection.sni': { on: 'serverName' },
};

/** A header name as Envoy takes it: a token (RFC 9110 section 5.1), or a pseudo-header. */
const HEADER = /^request\.headers\[(:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+)\]$/;
const CLAIM = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/;
const METADATA = /^experimental\.(envoy\.filters\.[^[\]]+)\[([^[\]]+)\]$/;

/** The attribute that a key of `when` names; undefined for one that is unknown or malformed. */
export function parseConditionKey(key: string): Subject | undefined {
  if (Object.hasOwn(PLAIN_KEYS, key)) return PLAIN_KEYS[key];
  const header = HEADER.exec(key)?.[1];
  if (header !== undefined) return { on: 'header', name: header };
  const claims = CLAIM.exec(key)?.[1];
  if (claims !== undefined) return { on: 'claim', path: claims.slice(1, -1).split('][') };
  const [, filter, metadataKey] = METADATA.exec(key) ?? [];
  if (filter === undefined || metadataKey === undefined) return undefined;
  return { on: 'metadata', filter, key: metadataKey };
}
