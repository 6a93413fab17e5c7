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

interface Tests<M> {
  /** One of them must match; an empty list asks for nothing. */
  readonly values: readonly M[];
  /** None of them may match. What is absent from a request matches nothing. */
  readonly notValues: readonly M[];
  /** The field of the policy that says so, for messages: `spec.rules[0].from[1].source.principals`. */
  readonly field: string;
}

/**
 * A test of one attribute of a request. `anchored` and `portIgnored` come from the hardening profile, so that
 * whoever reads this form need not know it.
 */
export type Condition =
  /** The peer's identity without its `spiffe://`. */
  | ({ readonly on: 'principal' } & Tests<TextMatch>)
  | ({ readonly on: 'namespace'; readonly anchored: boolean } & Tests<TextMatch>)
  | ({ readonly on: 'serviceAccount'; readonly anchored: boolean } & Tests<ServiceAccountMatch>)
  | ({ readonly on: 'trustDomain' } & Tests<TextMatch>)
  /** The address of the connection, as we see it. */
  | ({ readonly on: 'sourceIp' } & Tests<AddressRange>)
  /** The address of the original client, as trusted proxies tell it. */
  | ({ readonly on: 'remoteIp' } & Tests<AddressRange>)
  | ({ readonly on: 'destinationIp' } & Tests<AddressRange>)
  /** A port of the workload, whatever port its proxy listens on. */
  | ({ readonly on: 'port' } & Tests<number>)
  | ({ readonly on: 'serverName' } & Tests<TextMatch>)
  | ({ readonly on: 'requestPrincipal' } & Tests<RequestPrincipalMatch>)
  /** A claim of the token: a text, or a list of which one text matches. */
  | ({ readonly on: 'claim'; readonly path: readonly string[] } & Tests<TextMatch>)
  | ({ readonly on: 'header'; readonly name: string } & Tests<TextMatch>)
  /** The Host header; letter case does not count. */
  | ({ readonly on: 'host'; readonly portIgnored: boolean } & Tests<TextMatch>)
  | ({ readonly on: 'method' } & Tests<TextMatch>)
  | ({ readonly on: 'path' } & Tests<PathMatch>)
  | ({
      readonly on: 'metadata';
      readonly filter: string;
      readonly key: string;
    } & Tests<MetadataMatch>);

/** The attributes that conditions test. */
export type ConditionSubject = Condition['on'];

/** For each attribute, which half of a rule it belongs to and whether a plain connection has it. */
export const CONDITION_SUBJECTS: Readonly<
  Record<ConditionSubject, { readonly side: 'source' | 'operation'; readonly httpOnly: boolean }>
> = {
  principal: { side: 'source', httpOnly: false },
  namespace: { side: 'source', httpOnly: false },
  serviceAccount: { side: 'source', httpOnly: false },
  trustDomain: { side: 'source', httpOnly: false },
  sourceIp: { side: 'source', httpOnly: false },
  remoteIp: { side: 'source', httpOnly: false },
  requestPrincipal: { side: 'source', httpOnly: true },
  claim: { side: 'source', httpOnly: true },
  header: { side: 'source', httpOnly: true },
  destinationIp: { side: 'operation', httpOnly: false },
  port: { side: 'operation', httpOnly: false },
  serverName: { side: 'operation', httpOnly: false },
  host: { side: 'operation', httpOnly: true },
  method: { side: 'operation', httpOnly: true },
  path: { side: 'operation', httpOnly: true },
  metadata: { side: 'operation', httpOnly: false },
};
