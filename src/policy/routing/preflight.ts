import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import { textHolds } from '#policy/routing/request-match.ts';

/**
 * Whether the caller's proxy answers a request by itself, for it is the question of a browser
 * whether a page of another origin may ask (Fetch standard, "CORS-preflight fetch"): OPTIONS with
 * an origin that the policy names.
 */
export function answersPreflight(
  {
    allowOrigins = [],
    allowOrigin = [],
    unmatchedPreflights,
  }: NonNullable<HttpRoute['corsPolicy']>,
  facts: Pick<AuthzFacts, 'method' | 'header'>,
): boolean {
  const [origin] = facts.header('origin');
  const [asked] = facts.header('access-control-request-method');
  if (facts.method !== 'OPTIONS' || origin === undefined || asked === undefined) return false;
  const origins = [...allowOrigins, ...allowOrigin.map((exact) => ({ exact }))];
  const isNamed = origins.some((one) => one.exact === '*' || textHolds(one, origin));
  return isNamed || unmatchedPreflights === 'IGNORE';
}
