import type { AddressRange } from '#policy/authz/address-range.ts';
import type { PathTemplate } from '#policy/authz/path-template.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';

/** A service account of the peer. Both parts are compared exactly. */
export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly name: string;
}

/** The identity of a token, `<issuer>/<subject>`: both parts must match. */
export interface RequestPrincipalMatch {
  readonly issuer: TextMatch;
  readonly subject: TextMatch;
}

/** A path without query and fragment. */
export type PathMatch = TextMatch | { readonly match: 'template'; readonly template: PathTemplate };

/** A value that another filter left: a text, or a list of which one text matches. */
export interface MetadataMatch {
  readonly inList: boolean;
  readonly text: TextMatch;
}

/** What a condition asks of the values that its attribute has in a request. */
export interface Tests<M> {
  /** One of them must match; an empty list asks for nothing. */
  readonly values: readonly M[];
  /** None of them may match. What is absent from a request matches nothing. */
  readonly notValues: readonly M[];
  /**
   * The fields of the policy that say so, for messages: `spec.rules[0].from[1].source.principals`.
   */
  readonly field: string;
  readonly notField: string;
}

/**
 * A test of who calls. `anchored` comes from the hardening profile, so that whoever reads this form
 * need not know it; so does `portIgnored` below.
 */
export type SourceCondition =
  /**
   * The identity of the peer without its `spiffe://`; where principals are those of end users, of
   * the end user, but for `ofPeer`.
   */
  | ({ readonly on: 'principal'; readonly ofPeer?: true } & Tests<TextMatch>)
  | ({ readonly on: 'namespace'; readonly anchored: boolean } & Tests<TextMatch>)
  | ({ readonly on: 'serviceAccount'; readonly anchored: boolean } & Tests<ServiceAccountMatch>)
  | ({ readonly on: 'trustDomain' } & Tests<TextMatch>)
  /** The address of the connection, as we see it. */
  | ({ readonly on: 'sourceIp' } & Tests<AddressRange>)
  /** The address of the original client, as trusted proxies tell it. */
  | ({ readonly on: 'remoteIp' } & Tests<AddressRange>)
  | ({ readonly on: 'requestPrincipal' } & Tests<RequestPrincipalMatch>)
  /** A claim of the token: a text, or a list of which one text matches. */
  | ({
      readonly on: 'claim';
      readonly path: readonly string[];
      /** Whether a number or a boolean is matched by its text. */
      readonly literals: boolean;
    } & Tests<TextMatch>)
  /** A header, of which one value matches; `present` includes a header without text. */
  | ({ readonly on: 'header'; readonly name: string } & Tests<TextMatch>);

/** A test of what is asked for. */
export type OperationCondition =
  /** The Host header; letter case does not count. */
  | ({ readonly on: 'host'; readonly portIgnored: boolean } & Tests<TextMatch>)
  | ({ readonly on: 'method' } & Tests<TextMatch>)
  | ({ readonly on: 'path' } & Tests<PathMatch>)
  /** A port of the workload, whatever port its proxy listens on. */
  | ({ readonly on: 'port' } & Tests<number>)
  | ({ readonly on: 'destinationIp' } & Tests<AddressRange>)
  | ({ readonly on: 'serverName' } & Tests<TextMatch>)
  /** The value of an expression of Mixer, which the agent beside the proxy works out. */
  | ({ readonly on: 'computed'; readonly expression: string } & Tests<TextMatch>)
  /** What another filter left under a key. */
  | ({
      readonly on: 'metadata';
      readonly filter: string;
      readonly key: string;
    } & Tests<MetadataMatch>);

/** A test of one attribute of a request. */
export type Condition = SourceCondition | OperationCondition;

/** The half of a rule that each attribute belongs to, as in Istio. */
const SIDES: Readonly<
  Record<SourceCondition['on'], 'source'> & Record<OperationCondition['on'], 'operation'>
> = {
  principal: 'source',
  namespace: 'source',
  serviceAccount: 'source',
  trustDomain: 'source',
  sourceIp: 'source',
  remoteIp: 'source',
  requestPrincipal: 'source',
  claim: 'source',
  header: 'source',
  host: 'operation',
  method: 'operation',
  path: 'operation',
  port: 'operation',
  destinationIp: 'operation',
  serverName: 'operation',
  computed: 'operation',
  metadata: 'operation',
};

/** Attributes that a plain connection does not have. */
const HTTP_ONLY: ReadonlySet<Condition['on']> = new Set<Condition['on']>([
  'requestPrincipal',
  'claim',
  'header',
  'host',
  'method',
  'path',
  'computed',
]);

/** Whether a condition is about who calls. */
export function isSourceCondition(condition: Condition): condition is SourceCondition {
  return SIDES[condition.on] === 'source';
}

/** Whether a condition is about what is asked for. */
export function isOperationCondition(condition: Condition): condition is OperationCondition {
  return SIDES[condition.on] === 'operation';
}

/** Whether a condition needs HTTP to be decided. */
export function needsHttp(condition: Condition): boolean {
  return HTTP_ONLY.has(condition.on);
}
