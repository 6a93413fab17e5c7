import { isHeaderName, nameInBrackets, namesInBrackets } from '#api/bracketed-names.ts';
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

const HEADERS = 'request.headers';
const CLAIMS = 'request.auth.claims';
const METADATA = /^experimental\.(envoy\.filters\.[^[\]]+)\[([^[\]]+)\]$/;

/** The attribute that a key of `when` names; undefined for one that is unknown or malformed. */
export function parseConditionKey(key: string): Subject | undefined {
  if (Object.hasOwn(PLAIN_KEYS, key)) return PLAIN_KEYS[key];
  if (key.startsWith(HEADERS)) {
    const name = nameInBrackets(key.slice(HEADERS.length)) ?? '';
    return isHeaderName(name) ? { on: 'header', name } : undefined;
  }
  if (key.startsWith(CLAIMS)) {
    const path = namesInBrackets(key.slice(CLAIMS.length)) ?? [''];
    return path.includes('') ? undefined : { on: 'claim', path };
  }
  const [, filter, metadataKey] = METADATA.exec(key) ?? [];
  if (filter === undefined || metadataKey === undefined) return undefined;
  return { on: 'metadata', filter, key: metadataKey };
}
