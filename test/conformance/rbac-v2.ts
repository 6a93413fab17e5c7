import { BlockList, isIPv6 } from 'node:net';

/** A string matcher of Envoy's version 2 API. */
interface StringMatch {
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly safeRegex?: { readonly regex: string };
}

interface Cidr {
  readonly addressPrefix: string;
  readonly prefixLen: number;
}

interface MetadataMatch {
  readonly filter: string;
  readonly path: readonly { readonly key: string }[];
  readonly value: {
    readonly stringMatch?: StringMatch;
    readonly listMatch?: { readonly oneOf: { readonly stringMatch: StringMatch } };
  };
}

interface HeaderMatch {
  readonly name: string;
  readonly exactMatch?: string;
  readonly prefixMatch?: string;
  readonly suffixMatch?: string;
  readonly presentMatch?: boolean;
  readonly safeRegexMatch?: { readonly regex: string };
}

/** A permission or a principal: both are trees of the same form. */
export interface RbacNode {
  readonly any?: boolean;
  readonly andRules?: { readonly rules: readonly RbacNode[] };
  readonly orRules?: { readonly rules: readonly RbacNode[] };
  readonly andIds?: { readonly ids: readonly RbacNode[] };
  readonly orIds?: { readonly ids: readonly RbacNode[] };
  readonly notRule?: RbacNode;
  readonly notId?: RbacNode;
  readonly header?: HeaderMatch;
  readonly urlPath?: { readonly path: StringMatch };
  readonly metadata?: MetadataMatch;
  readonly sourceIp?: Cidr;
  readonly destinationIp?: Cidr;
  readonly destinationPort?: number;
  readonly requestedServerName?: StringMatch;
}

/** `envoy.config.rbac.v2.RBAC` as far as Istio 1.5 wrote it. */
export interface RbacV2 {
  readonly action?: 'ALLOW' | 'DENY';
  readonly policies: Readonly<
    Record<string, { readonly permissions: RbacNode[]; readonly principals: RbacNode[] }>
  >;
}

/** A request by the attributes that these trees look at; undefined = it has none. */
export interface V2Request {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly path: string;
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly serverName: string;
  /** Values by `filter key key…`: a text, or the texts of a list. */
  readonly metadata: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** Whether a message lets a request pass, as Envoy 1.13 reads it. */
export function rbacAllows({ action = 'ALLOW', policies }: RbacV2, request: V2Request): boolean {
  const matches = Object.values(policies).some(
    ({ permissions, principals }) =>
      permissions.some((node) => holds(node, request)) &&
      principals.some((node) => holds(node, request)),
  );
  return matches === (action === 'ALLOW');
}

function holds(node: RbacNode, request: V2Request): boolean {
  const { andRules, orRules, andIds, orIds, notRule, notId } = node;
  const every = andRules?.rules ?? andIds?.ids;
  if (every) return every.every((child) => holds(child, request));
  const some = orRules?.rules ?? orIds?.ids;
  if (some) return some.some((child) => holds(child, request));
  const not = notRule ?? notId;
  if (not) return !holds(not, request);
  return node.any === true || leafHolds(node, request);
}

function leafHolds(node: RbacNode, request: V2Request): boolean {
  const { header, urlPath, metadata, sourceIp, destinationIp } = node;
  if (header) return headerHolds(header, request);
  if (urlPath) return textHolds(urlPath.path, request.path);
  if (metadata) return metadataHolds(metadata, request);
  if (sourceIp) return inRange(sourceIp, request.sourceIp);
  if (destinationIp) return inRange(destinationIp, request.destinationIp);
  if (node.destinationPort !== undefined) return node.destinationPort === request.destinationPort;
  if (node.requestedServerName) return textHolds(node.requestedServerName, request.serverName);
  throw new Error(`an unknown leaf: ${JSON.stringify(node)}`);
}

function headerHolds(match: HeaderMatch, { headers, path }: V2Request): boolean {
  const name = match.name.toLowerCase();
  const value = name === ':path' ? path : headers[name];
  if (value === undefined) return false;
  if (match.presentMatch) return true;
  const { exactMatch, prefixMatch, suffixMatch, safeRegexMatch } = match;
  return textHolds(
    {
      ...(exactMatch === undefined ? {} : { exact: exactMatch }),
      ...(prefixMatch === undefined ? {} : { prefix: prefixMatch }),
      ...(suffixMatch === undefined ? {} : { suffix: suffixMatch }),
      ...(safeRegexMatch === undefined ? {} : { safeRegex: safeRegexMatch }),
    },
    value,
  );
}

/** The place of a value in `V2Request.metadata`. */
export function metadataKey({ filter, path }: MetadataMatch): string {
  return [filter, ...path.map(({ key }) => key)].join(' ');
}

function metadataHolds(match: MetadataMatch, request: V2Request): boolean {
  const value = request.metadata[metadataKey(match)];
  const { stringMatch, listMatch } = match.value;
  if (stringMatch) return typeof value === 'string' && textHolds(stringMatch, value);
  if (!listMatch || !Array.isArray(value)) return false;
  return value.some((text) => textHolds(listMatch.oneOf.stringMatch, text));
}

function textHolds({ exact, prefix, suffix, safeRegex }: StringMatch, text: string): boolean {
  if (exact !== undefined) return text === exact;
  if (prefix !== undefined) return text.startsWith(prefix);
  if (suffix !== undefined) return text.endsWith(suffix);
  if (safeRegex !== undefined) return new RegExp(`^(?:${safeRegex.regex})$`).test(text);
  throw new Error('a string matcher without a match');
}

function inRange({ addressPrefix, prefixLen }: Cidr, address: string): boolean {
  const list = new BlockList();
  list.addSubnet(addressPrefix, prefixLen, isIPv6(addressPrefix) ? 'ipv6' : 'ipv4');
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** A text that a matcher takes. */
export function sampleOf({ exact, prefix, suffix, safeRegex }: StringMatch): string {
  if (safeRegex) return safeRegex.regex.replaceAll('.*', 'x').replaceAll('.+', 'x');
  return exact ?? (prefix === undefined ? `x${suffix}` : `${prefix}x`);
}

/** Every leaf of a tree. */
export function leavesOf(node: RbacNode): readonly RbacNode[] {
  const { andRules, orRules, andIds, orIds, notRule, notId } = node;
  const children = andRules?.rules ?? orRules?.rules ?? andIds?.ids ?? orIds?.ids;
  if (children) return children.flatMap(leavesOf);
  const not = notRule ?? notId;
  return not ? leavesOf(not) : [node];
}
