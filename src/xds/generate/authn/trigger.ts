import { create } from '@bufbuild/protobuf';
import {
  type RouteMatch,
  RouteMatchSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import type { PathTest, PathTrigger } from '#policy/authn/jwt.ts';
import { areTellable } from '#policy/authn/trigger-paths.ts';
import { escapePattern } from '#policy/authz/pattern.ts';

/** A provider of tokens, and the requests of which one is asked. */
export interface TriggeredProvider {
  readonly name: string;
  readonly triggers: readonly PathTrigger[];
}

/** Requests, and the providers of which one must be satisfied; none = no token is asked for. */
export interface TriggeredRequests {
  readonly match: RouteMatch;
  readonly providers: readonly string[];
}

/** Every path. Routes are matched without the query of a request. */
export const EVERY_PATH = create(RouteMatchSchema, {
  pathSpecifier: { case: 'prefix', value: '/' },
});

/**
 * Tells requests apart by the tokens that they need, as a list of which the first that matches
 * counts. Undefined when a filter cannot tell them apart (`areTellable`).
 */
export function triggeredRequests(
  providers: readonly TriggeredProvider[],
): readonly TriggeredRequests[] | undefined {
  if (!areTellable(providers)) return undefined;
  const names = providers.map(({ name }) => name);
  const different = new Map(providers.map(({ triggers }) => [JSON.stringify(triggers), triggers]));
  const [triggers = []] = different.values();
  const [only, ...more] = triggers;
  if (different.size > 1 || more.length > 0) return byRegion(providers);
  if (only === undefined) return [{ match: EVERY_PATH, providers: names }];
  const included = only.included.length === 0 ? [EVERY_PATH] : only.included.map(routeMatch);
  return [
    ...only.excluded.map((test) => ({ match: routeMatch(test), providers: [] })),
    ...included.map((match) => ({ match, providers: names })),
  ];
}

/**
 * Between the beginnings and whole paths that triggers name, nothing changes: each region is asked
 * once, the longest first.
 */
function byRegion(providers: readonly TriggeredProvider[]): readonly TriggeredRequests[] {
  const tests = providers.flatMap(({ triggers }) =>
    triggers.flatMap(({ excluded, included }) => [...excluded, ...included]),
  );
  const regions = new Map(tests.map((test) => [`${test.match} ${test.value}`, test]));
  const sorted = [...regions.values()].sort((a, b) => {
    if (a.match !== b.match) return a.match === 'exact' ? -1 : 1;
    return b.value.length - a.value.length || (a.value < b.value ? -1 : 1);
  });
  const everything: PathTest = { match: 'prefix', value: '/' };
  return [...sorted, everything].map((region) => ({
    match: routeMatch(region),
    providers: providers
      .filter(({ triggers }) => triggers.length === 0 || triggers.some((one) => holds(one, region)))
      .map(({ name }) => name),
  }));
}

function holds({ excluded, included }: PathTrigger, region: PathTest): boolean {
  const isIn = (test: PathTest): boolean =>
    test.match === 'exact'
      ? region.match === 'exact' && region.value === test.value
      : region.value.startsWith(test.value);
  return !excluded.some(isIn) && (included.length === 0 || included.some(isIn));
}

function routeMatch({ match, value }: PathTest): RouteMatch {
  switch (match) {
    case 'exact':
      return create(RouteMatchSchema, { pathSpecifier: { case: 'path', value } });
    case 'prefix':
      return create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value } });
    case 'suffix':
      return byRegex(`.*${escapePattern(value)}`);
    case 'regex':
      return byRegex(value);
  }
}

/** The whole path must match. */
function byRegex(regex: string): RouteMatch {
  return create(RouteMatchSchema, { pathSpecifier: { case: 'safeRegex', value: { regex } } });
}
