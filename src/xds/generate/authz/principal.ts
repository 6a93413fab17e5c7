import { create } from '@bufbuild/protobuf';
import { unreachable } from '#base/assert.ts';
import {
  type Principal,
  Principal_AuthenticatedSchema,
  Principal_SetSchema,
  PrincipalSchema,
} from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import type { StringMatcher } from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import type { ValueMatcher } from '#gen/envoy-api/envoy/type/matcher/v3/value_pb.js';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { Clause } from '#policy/authz/compiled-policy.ts';
import type { RequestPrincipalMatch, SourceCondition, Tests } from '#policy/authz/condition.ts';
import {
  escapePattern,
  namespacePattern,
  serviceAccountPattern,
  trustDomainPattern,
} from '#policy/authz/pattern.ts';
import type { PeerCondition } from '#policy/authz/peer-verdict.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import { JWT_PAYLOAD } from '#xds/generate/authn/jwt.ts';
import { folded, foldedPatterns } from '#xds/generate/authz/folded-texts.ts';
import {
  anyValue,
  cidrRange,
  headerMatcher,
  listValue,
  literalValue,
  metadataMatcher,
  patternMatcher,
  textMatcher,
  textValue,
} from '#xds/generate/authz/matchers.ts';

/** The filter that leaves the verified token's payload in the metadata. */
const JWT_FILTER = 'envoy.filters.http.jwt_authn';
const SCHEME = 'spiffe://';

type Identifier = Principal['identifier'];

/** Callers that hold all conditions of a clause. `binding`: whose identity a principal is. */
export function buildPrincipal(
  clause: Clause<SourceCondition>,
  binding: PrincipalBinding,
): Principal {
  const ids = clause.flatMap((condition) => buildCondition(condition, binding));
  return and(ids.length === 0 ? [ANYBODY] : ids);
}

/** Nobody, for a rule that must be seen and never match. */
export function buildNobody(): Principal {
  return not(ANYBODY);
}

const ANYBODY = principal({ case: 'any', value: true });

function buildCondition(condition: SourceCondition, binding: PrincipalBinding): Principal[] {
  if (condition.on === 'claim') {
    // One matcher takes all values: a claim may be a list, and is then walked once.
    const { path, literals, values, notValues } = condition;
    return [
      ...(values.length === 0 ? [] : [claim(path, values, literals)]),
      ...(notValues.length === 0 ? [] : [not(claim(path, notValues, literals))]),
    ];
  }
  switch (condition.on) {
    case 'principal':
      return binding === 'origin' && !condition.ofPeer
        ? tested(condition, endUser)
        : testedPeer(condition);
    case 'namespace':
    case 'serviceAccount':
    case 'trustDomain':
      return testedPeer(condition);
    case 'sourceIp':
      return tested(condition, (range) =>
        principal({ case: 'directRemoteIp', value: cidrRange(range) }),
      );
    case 'remoteIp':
      return tested(condition, (range) => principal({ case: 'remoteIp', value: cidrRange(range) }));
    case 'requestPrincipal':
      return tested(condition, requestPrincipal);
    case 'header':
      return tested(folded(condition), (match) =>
        principal({ case: 'header', value: headerMatcher(condition.name, match) }),
      );
    default:
      return unreachable(condition);
  }
}

function testedPeer(condition: PeerCondition): Principal[] {
  const { field, notField } = condition;
  return tested({ ...peerMatchers(condition), field, notField }, authenticated);
}

/** The matchers of the identities that a condition asks for, and of those that it excludes. */
export function peerMatchers(condition: PeerCondition): {
  readonly values: readonly StringMatcher[];
  readonly notValues: readonly StringMatcher[];
} {
  switch (condition.on) {
    case 'principal':
      return both(folded(condition), identityMatcher);
    case 'namespace':
      return patterns(condition, (match) => namespacePattern(match, condition.anchored));
    case 'serviceAccount':
      return patterns(condition, (match) => serviceAccountPattern(match, condition.anchored));
    case 'trustDomain':
      return patterns(condition, trustDomainPattern);
  }
}

function patterns<M>({ values, notValues }: Tests<M>, build: (match: M) => string) {
  const matchers = (matches: readonly M[]) =>
    foldedPatterns(matches.map(build)).map(patternMatcher);
  return { values: matchers(values), notValues: matchers(notValues) };
}

function both<M>({ values, notValues }: Tests<M>, build: (match: M) => StringMatcher) {
  return { values: values.map(build), notValues: notValues.map(build) };
}

/** One of the values, and none of the others. */
function tested<M>(tests: Tests<M>, build: (match: M) => Principal): Principal[] {
  const values = tests.values.map(build);
  const notValues = tests.notValues.map(build);
  return [
    ...(values.length === 0 ? [] : [or(values)]),
    ...(notValues.length === 0 ? [] : [not(or(notValues))]),
  ];
}

function identityMatcher(match: TextMatch): StringMatcher {
  switch (match.match) {
    case 'exact':
    case 'prefix':
      return textMatcher({ match: match.match, value: `${SCHEME}${match.value}` });
    case 'suffix':
      return patternMatcher(`${SCHEME}.*${escapePattern(match.value)}`);
    case 'pattern':
      return patternMatcher(`${SCHEME}(?:${match.value})`);
    case 'present':
      return textMatcher(match);
  }
}

function authenticated(principalName: StringMatcher): Principal {
  return principal({
    case: 'authenticated',
    value: create(Principal_AuthenticatedSchema, { principalName }),
  });
}

/** An end user by `<issuer>/<subject>` as one text: both parts may have slashes. */
function endUser(match: TextMatch): Principal {
  return or(endUserParts(match).map(requestPrincipal));
}

function endUserParts(match: TextMatch): RequestPrincipalMatch[] {
  const present = { match: 'present', spansLines: true } as const;
  if (match.match === 'present') return [{ issuer: present, subject: present }];
  const { value } = match;
  const slashes = [...value.matchAll(/\//g)].map(({ index }) => index);
  const split = slashes.map((at): RequestPrincipalMatch => {
    const parts = { issuer: value.slice(0, at), subject: value.slice(at + 1) };
    const part = (text: string, how: 'exact' | 'prefix' | 'suffix'): TextMatch =>
      text === '' && how !== 'exact' ? present : { match: how, value: text };
    return {
      issuer: part(parts.issuer, match.match === 'suffix' ? 'suffix' : 'exact'),
      subject: part(parts.subject, match.match === 'prefix' ? 'prefix' : 'exact'),
    };
  });
  if (match.match === 'prefix') return [...split, { issuer: match, subject: present }];
  if (match.match === 'suffix') return [...split, { issuer: present, subject: match }];
  const nobody = { match: 'exact', value: '' } as const;
  return split.length > 0 ? split : [{ issuer: match, subject: nobody }];
}

function requestPrincipal({ issuer, subject }: RequestPrincipalMatch): Principal {
  const part = (key: string, match: TextMatch) => payload([key], textValue(match));
  return and([part('iss', issuer), part('sub', subject)]);
}

function claim(
  path: readonly string[],
  matches: readonly TextMatch[],
  literals: boolean,
): Principal {
  const value = anyValue(
    matches.flatMap((match) => [textValue(match), ...(literals ? literalValue(match) : [])]),
  );
  return payload(path, anyValue([listValue(value), value]));
}

function payload(path: readonly string[], value: ValueMatcher): Principal {
  return principal({
    case: 'metadata',
    value: metadataMatcher(JWT_FILTER, [JWT_PAYLOAD, ...path], value),
  });
}

function and(ids: Principal[]): Principal {
  return principal({ case: 'andIds', value: create(Principal_SetSchema, { ids }) });
}

function or(ids: Principal[]): Principal {
  return principal({ case: 'orIds', value: create(Principal_SetSchema, { ids }) });
}

function not(id: Principal): Principal {
  return principal({ case: 'notId', value: id });
}

function principal(identifier: Identifier): Principal {
  return create(PrincipalSchema, { identifier });
}
