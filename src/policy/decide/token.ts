import { KeySets } from '#model/key-sets.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import {
  type PathTest,
  type PathTrigger,
  type PortTokens,
  type TokenRule,
  tokensOfPort,
  type WorkloadTokens,
} from '#policy/authn/jwt.ts';
import { areTellable } from '#policy/authn/trigger-paths.ts';
import { canonicalPath, withoutFragment } from '#policy/authz/request-path.ts';
import type { Call, GivenToken } from '#policy/decide/call.ts';
import type { Layer } from '#policy/decide/layer.ts';
import { type TokenSource, tokenSources } from '#policy/decide/token-sources.ts';
import { HARDENING } from '#policy/hardening.ts';

type Claims = Readonly<Record<string, unknown>>;

/** What comes of the token of a request. */
export interface TokenResult {
  readonly layer: Layer;
  /** The payload that policies see; undefined when there is no token that counts. */
  readonly claims: Claims | undefined;
  /** The rule that takes the token, if one does. */
  readonly rule?: TokenRule;
  /** The rules that look at the request. */
  readonly asked?: readonly TokenRule[];
  /** What would help, where the request is refused. */
  readonly advice: string | undefined;
}

/** What of a call decides about its token. */
export interface TokenCall extends Pick<Call, 'http' | 'token'> {
  readonly to: Pick<Call['to'], 'workload' | 'workloadPort' | 'entrance'>;
}

/** What a token is judged with. */
export interface TokenContext {
  readonly mesh: MeshSnapshot;
  readonly tokens: WorkloadTokens;
  /** Wall-clock milliseconds: tokens expire. */
  readonly nowMs: number;
}

const PASS = { layer: 'token', outcome: 'pass' } as const;
const DENY = { layer: 'token', outcome: 'deny' } as const;

/** What one rule says of a token; `undefined` = it takes it. */
type Refusal = string | undefined;

/**
 * Judges the token of a request as the filter `jwt_authn` would. Signatures are not verified: the
 * question is what becomes of a token with these claims.
 */
export function judgeToken(call: TokenCall, context: TokenContext): TokenResult {
  const { http, token } = call;
  const { workload } = call.to;
  const workloadPort = portOfTokens(call.to);
  const tokens = tokensOfPort(context.tokens, workloadPort);
  if (http === undefined || tokens.rules.length === 0)
    return pass(`no policy looks at tokens here${token ? ', so its claims are unknown' : ''}`);
  if (isPreflight(call)) return pass('a CORS preflight needs no token');
  const sources = tokenSources(workload, workloadPort, context.mesh);
  if (!areTellable(tokens.rules))
    return deny('the paths of its rules cannot be told apart', tokens.rules[0], sources);
  const { hardening, pathNormalization } = context.mesh.settings;
  const target = withoutFragment(http.target, hardening);
  const rules = rulesFor(tokens, target && canonicalPath(target, pathNormalization));
  if (rules.length === 0) return pass('no token is asked for on this path');
  return { ...judgedBy(rules, token, { tokens, sources, context }), asked: rules };
}

function judgedBy(
  rules: readonly TokenRule[],
  token: GivenToken | undefined,
  by: {
    readonly tokens: PortTokens;
    readonly sources: readonly TokenSource[];
    readonly context: TokenContext;
  },
): TokenResult {
  const { tokens, sources, context } = by;
  const { hardening } = context.mesh.settings;
  const required = requiredOf(rules, tokens, context);
  if (token === undefined) {
    if (required.length === 0) return pass('no token is needed, and there is none');
    return deny('there is no token, and one is needed', required[0], sources);
  }
  const candidates = required.length > 0 ? required : rules;
  const judged = candidates.map((rule) => [rule, refusalOf(rule, token.claims, context)] as const);
  const taken = judged.find(([, refusal]) => refusal === undefined);
  if (taken) {
    const [rule] = taken;
    return {
      layer: {
        ...PASS,
        reason: `the token of ${issuerOf(token.claims)} is taken`,
        ...of(rule, sources),
      },
      claims: normalized(token.claims, rule),
      rule,
      advice: undefined,
    };
  }
  if (tokens.demand === 'optional' && !HARDENING[hardening].badOptionalTokensAreRefused)
    return pass('the token is not taken, and none is needed');
  const nearest = judged.find(([rule]) => rule.issuer === token.claims.iss) ?? judged[0];
  return deny(nearest?.[1] ?? 'no rule takes the token', nearest?.[0], sources);
}

/** The port by which rules about tokens are chosen: gateways have none of their own. */
function portOfTokens({ entrance, workloadPort }: TokenCall['to']): number {
  return entrance === undefined ? workloadPort : 0;
}

function pass(reason: string): TokenResult {
  return { layer: { ...PASS, reason }, claims: undefined, advice: undefined };
}

function deny(
  reason: string,
  rule: TokenRule | undefined,
  sources: readonly TokenSource[],
): TokenResult {
  const issuer = rule?.issuer || 'any issuer';
  const audiences = rule?.audiences.length ? ` for ${rule.audiences.join(' or ')}` : '';
  return {
    layer: { ...DENY, reason, ...(rule && of(rule, sources)) },
    claims: undefined,
    advice: `send a valid token of ${issuer}${audiences}`,
  };
}

function of(rule: TokenRule, sources: readonly TokenSource[]) {
  const found = sources.find(({ issuer }) => issuer === rule.issuer) ?? sources[0];
  return { object: found?.object, field: found?.field };
}

/** Envoy asks browsers for no token when they ask whether they may call (`bypassCorsPreflight`). */
function isPreflight({ http }: TokenCall): boolean {
  const names = new Set(Object.keys(http?.headers ?? {}).map((name) => name.toLowerCase()));
  return (
    http?.method === 'OPTIONS' && names.has('origin') && names.has('access-control-request-method')
  );
}

/** The rules of which one is asked on a path; `undefined` is one that Envoy refuses anyway. */
function rulesFor({ rules }: PortTokens, path: string | undefined): readonly TokenRule[] {
  if (path === undefined) return rules;
  return rules.filter(
    ({ triggers }) => triggers.length === 0 || triggers.some((one) => isTriggered(one, path)),
  );
}

function isTriggered({ excluded, included }: PathTrigger, path: string): boolean {
  if (excluded.some((test) => pathHolds(test, path))) return false;
  return included.length === 0 || included.some((test) => pathHolds(test, path));
}

function pathHolds({ match, value }: PathTest, path: string): boolean {
  switch (match) {
    case 'exact':
      return path === value;
    case 'prefix':
      return path.startsWith(value);
    case 'suffix':
      return path.endsWith(value);
    case 'regex':
      return new RegExp(`^(?:${value})$`).test(path);
  }
}

/** The rules of which a request must bring a token. */
function requiredOf(
  rules: readonly TokenRule[],
  { demand }: PortTokens,
  { mesh }: TokenContext,
): readonly TokenRule[] {
  const { requiredTokensAreEnforced } = HARDENING[mesh.settings.hardening];
  const named = rules.filter(({ isRequired }) => isRequired && requiredTokensAreEnforced);
  return named.length > 0 || demand !== 'present' ? named : rules;
}

/** By so many seconds the clocks of issuers may be off: what Envoy allows unless told otherwise. */
const SKEW_S = 60;

function refusalOf(rule: TokenRule, claims: Claims, { mesh, nowMs }: TokenContext): Refusal {
  const { iss, exp, nbf } = claims;
  if (rule.issuer !== '' && rule.issuer !== iss)
    return `no rule takes tokens of ${issuerOf(claims)}: the issuer is ${rule.issuer}`;
  if (!hasKeys(rule, mesh))
    return `there are no keys to verify tokens of ${rule.issuer} (bulwark jwks says why)`;
  const audiences = [claims.aud].flat().filter((one) => typeof one === 'string');
  const wanted = new Set(rule.audiences.map(bareAudience));
  if (wanted.size > 0 && !audiences.some((one) => wanted.has(bareAudience(one)))) {
    const has = audiences.length === 0 ? 'none' : audiences.join(', ');
    return `the token is for the audience ${has}, and not for ${rule.audiences.join(', ')}`;
  }
  const seconds = nowMs / 1000;
  if (typeof exp === 'number' && exp + SKEW_S < seconds) return 'the token has expired';
  if (exp === undefined && rule.requiresExpiration) return 'the token does not say when it expires';
  if (typeof nbf === 'number' && nbf - SKEW_S > seconds) return 'the token is not valid yet';
  return undefined;
}

/** Of a mesh that is read from files nobody knows what was fetched: they are taken to be there. */
function hasKeys({ keys }: TokenRule, { keySets }: MeshSnapshot): boolean {
  if (keys.from !== 'source') return keys.from === 'text';
  return keySets === KeySets.none || keySets.get(keys.source) !== undefined;
}

function issuerOf({ iss }: Claims): string {
  return typeof iss === 'string' ? iss : 'no issuer';
}

/** Envoy compares audiences without scheme and without a slash at the end. */
function bareAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

/** Lists with spaces between become lists, as policies see them. */
function normalized(claims: Claims, { spaceDelimitedClaims }: TokenRule): Claims {
  const split = spaceDelimitedClaims.flatMap((name) => {
    const text = Object.hasOwn(claims, name) ? claims[name] : undefined;
    return typeof text === 'string' ? [[name, text.split(' ').filter(Boolean)] as const] : [];
  });
  return { ...claims, ...Object.fromEntries(split) };
}
