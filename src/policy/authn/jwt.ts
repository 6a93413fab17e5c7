import { readKeySet } from '#api/key-set.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import { type JwtRule, keysPlaceOf } from '#api/kinds/jwt-rule.ts';
import {
  type RequestAuthentication,
  requestAuthentication,
} from '#api/kinds/request-authentication.ts';
import { parseDurationMs } from '#base/duration.ts';
import type { KeySource } from '#model/key-sets.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PolicyFinder, type PolicySources } from '#policy/authn/workload-policies.ts';
import { SharedByList } from '#policy/shared-by-list.ts';
import { gatewayReferences, isReferenced } from '#policy/target-references.ts';

/** Where the keys that tokens are verified with come from. */
export type TokenKeys =
  | { readonly from: 'text'; readonly text: string }
  | { readonly from: 'source'; readonly source: KeySource }
  /** None can be had: every token of the rule is refused. */
  | { readonly from: 'nowhere' };

/** A place of a request that may carry the token: a header, and what stands before the token. */
export interface TokenHeader {
  readonly name: string;
  readonly prefix: string;
}

/** The tokens of one issuer: which are taken, from where, and what becomes of them. */
export interface TokenRule {
  /** '' = any. */
  readonly issuer: string;
  /** One of them must be among the token's; none = any. */
  readonly audiences: readonly string[];
  readonly keys: TokenKeys;
  /** How long the control plane waits for them; undefined = as long as for any. */
  readonly keysTimeoutMs: number | undefined;
  /**
   * Nothing in `headers`, `params` and `cookies` = RFC 6750: the header Authorization, or
   * `access_token`.
   */
  readonly headers: readonly TokenHeader[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
  /** Whether the application gets the token. */
  readonly forwards: boolean;
  /** The header in which the application gets the payload; '' = none. */
  readonly payloadHeader: string;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Claims whose text is a list with spaces between; sorted. */
  readonly spaceDelimitedClaims: readonly string[];
  readonly requiresExpiration: boolean;
  /** Whether a request must carry a token of this rule, or of another that is required. */
  readonly isRequired: boolean;
  /** Requests that it is asked of, where a token is needed: those of any; none = all. */
  readonly triggers: readonly PathTrigger[];
}

/** A test of the path of a request, without its query. */
export interface PathTest {
  readonly match: 'exact' | 'prefix' | 'suffix' | 'regex';
  readonly value: string;
}

/** Requests whose path none of `excluded` matches, and one of `included`; none included = all. */
export interface PathTrigger {
  readonly excluded: readonly PathTest[];
  readonly included: readonly PathTest[];
}

/**
 * What tokens a request needs. `valid`: whatever token it has is good (RequestAuthentication).
 * `present`: it has a good one (`origins` of Policy). `optional`: the same, or none.
 */
export type TokenDemand = 'valid' | 'present' | 'optional';

/** Whose identity `principals` of authorization are about: the caller's, or the end user's. */
export type PrincipalBinding = 'peer' | 'origin';

/** What holds for the tokens in the requests to a port of a workload. Immutable. */
export interface PortTokens {
  /** By issuer; of one issuer in the order of the policies. None = tokens mean nothing. */
  readonly rules: readonly TokenRule[];
  readonly demand: TokenDemand;
  readonly binding: PrincipalBinding;
}

/** What holds for the tokens in the requests to one workload. Immutable. */
export interface WorkloadTokens {
  /** Of every port that `ports` does not have. */
  readonly common: PortTokens;
  /** By port of the workload. */
  readonly ports: ReadonlyMap<number, PortTokens>;
}

/** What holds for a port of a workload; undefined = one that nobody names. */
export function tokensOfPort(tokens: WorkloadTokens, port: number | undefined): PortTokens {
  return (port === undefined ? undefined : tokens.ports.get(port)) ?? tokens.common;
}

const NO_PORTS: ReadonlyMap<number, PortTokens> = new Map();

/** Every binding that a port of a workload has. */
export function bindingsOf({ common, ports }: WorkloadTokens): ReadonlySet<PrincipalBinding> {
  return new Set([common, ...ports.values()].map(({ binding }) => binding));
}

/** Always lists, as in Istio. */
const SPACE_DELIMITED = ['permission', 'scope'] as const;

/** What of the mesh the tokens of workloads depend on. */
type TokenSources = PolicySources & Pick<MeshSnapshot, 'requestAuthentications'>;

/**
 * Decides about the tokens of workloads, from RequestAuthentication and the older Policy and
 * MeshPolicy: where rules of new objects select a workload, `origins` of old ones mean nothing. It
 * remembers results by the identity of objects, so that the same policies give the same object.
 */
export class TokenPolicies {
  readonly #rootNamespace: string;
  readonly #tokensExpire: boolean;
  readonly #finder: PolicyFinder;
  readonly #shared = new SharedByList<RequestAuthentication, PortTokens>();
  readonly #origins = new WeakMap<AuthenticationPolicy, PortTokens>();

  /** `requireTokenExpiration`: of every rule, whatever it says. */
  constructor(settings: {
    readonly rootNamespace: string;
    readonly clusterDomain: string;
    readonly requireTokenExpiration?: boolean;
  }) {
    this.#rootNamespace = settings.rootNamespace;
    this.#tokensExpire = settings.requireTokenExpiration ?? false;
    this.#finder = new PolicyFinder(settings.clusterDomain);
  }

  /** All that holds for a workload. */
  tokensFor(workload: Workload, sources: TokenSources): WorkloadTokens {
    const namespaces = new Set([workload.namespace, this.#rootNamespace]);
    const selected = [...namespaces]
      .flatMap((namespace) => sources.requestAuthentications.in(namespace))
      .filter((policy) => selects(policy, workload, this.#rootNamespace));
    const common = this.#shared.get(selected, () =>
      compileTokens(selected.flatMap((policy) => this.#rulesOf(policy))),
    );
    if (common.rules.length > 0) return { common, ports: NO_PORTS };
    const old = this.#finder.policiesOf(workload, sources);
    const ports = [...old.ports].map(([port, policy]) => [port, this.#ofOrigins(policy)] as const);
    return {
      common: old.common === undefined ? common : this.#ofOrigins(old.common),
      ports: new Map(ports),
    };
  }

  #ofOrigins(policy: AuthenticationPolicy): PortTokens {
    const known = this.#origins.get(policy);
    if (known !== undefined) return known;
    const { originIsOptional, principalBinding } = policy.spec ?? {};
    const tokens: PortTokens = {
      rules: this.#rulesOf(policy),
      demand: originIsOptional ? 'optional' : 'present',
      binding: principalBinding === 'USE_ORIGIN' ? 'origin' : 'peer',
    };
    this.#origins.set(policy, tokens);
    return tokens;
  }

  #rulesOf(policy: RequestAuthentication | AuthenticationPolicy): readonly TokenRule[] {
    const rules = rulesOf(policy);
    return this.#tokensExpire
      ? rules.map((rule) => ({ ...rule, requiresExpiration: true }))
      : rules;
  }
}

/** The rules of several policies as one. Any token that one rule takes is enough. */
function compileTokens(rules: readonly TokenRule[]): PortTokens {
  const sorted = rules.toSorted((a, b) =>
    a.issuer === b.issuer ? 0 : a.issuer < b.issuer ? -1 : 1,
  );
  return { rules: sorted, demand: 'valid', binding: 'peer' };
}

/**
 * Where the keys that a policy of either API names are to be fetched from, each once, and how long
 * to wait for them, in milliseconds; undefined = the policy does not say.
 */
export function keySourcesOf(
  policy: RequestAuthentication | AuthenticationPolicy,
): ReadonlyMap<KeySource, number | undefined> {
  const sources = new Map<KeySource, number | undefined>();
  for (const { keys, keysTimeoutMs } of rulesOf(policy)) {
    if (keys.from !== 'source') continue;
    const known = sources.get(keys.source);
    const longest = Math.max(known ?? 0, keysTimeoutMs ?? 0);
    sources.set(keys.source, longest === 0 ? undefined : longest);
  }
  return sources;
}

/** Rules by their policy: keys that are written into it are read once. */
const compiledRules = new WeakMap<object, readonly TokenRule[]>();

/** The rules of a policy of either API, in its order; the same objects for the same policy. */
export function rulesOf(
  policy: RequestAuthentication | AuthenticationPolicy,
): readonly TokenRule[] {
  const known = compiledRules.get(policy);
  if (known !== undefined) return known;
  const rules =
    policy.kind === requestAuthentication.kind
      ? ((policy as RequestAuthentication).spec?.jwtRules ?? []).map(compileTokenRule)
      : rulesOfOrigins(policy as AuthenticationPolicy);
  compiledRules.set(policy, rules);
  return rules;
}

/**
 * The `origins` of a Policy or MeshPolicy. In the old API the application always gets the token
 * (Istio 1.5).
 */
function rulesOfOrigins({ spec }: AuthenticationPolicy): readonly TokenRule[] {
  return (spec?.origins ?? []).flatMap(({ jwt }) => {
    if (jwt === undefined) return [];
    const { jwtHeaders = [], jwtParams = [], triggerRules = [], ...same } = jwt;
    const rule = compileTokenRule({
      ...same,
      fromHeaders: jwtHeaders.map((name) => ({ name })),
      fromParams: jwtParams,
      forwardOriginalToken: true,
    });
    const triggers = triggerRules.map(({ excludedPaths = [], includedPaths = [] }) => ({
      excluded: excludedPaths.flatMap(pathTest),
      included: includedPaths.flatMap(pathTest),
    }));
    return [{ ...rule, triggers }];
  });
}

const PATH_MATCHES = ['exact', 'prefix', 'suffix', 'regex'] as const;

function pathTest(match: Readonly<Partial<Record<PathTest['match'], string>>>): PathTest[] {
  const found = PATH_MATCHES.find((one) => match[one] !== undefined);
  return found === undefined ? [] : [{ match: found, value: match[found] ?? '' }];
}

/** Whether a policy is for a workload of its namespace; of any, when it is in the root's. */
export function selects(
  { metadata, spec }: RequestAuthentication,
  workload: Workload,
  rootNamespace: string,
): boolean {
  const { namespace = '' } = metadata;
  const references = gatewayReferences(spec ?? {});
  if (references)
    return isReferenced(references, workload, { namespace, isRoot: namespace === rootNamespace });
  return labelsMatch(spec?.selector?.matchLabels ?? {}, workload.labels);
}

function compileTokenRule(rule: JwtRule): TokenRule {
  const { issuer = '', audiences = [], fromHeaders = [] } = rule;
  return {
    issuer,
    audiences,
    keys: tokenKeys(rule),
    keysTimeoutMs: rule.timeout === undefined ? undefined : parseDurationMs(rule.timeout),
    headers: fromHeaders.map(({ name, prefix = '' }) => ({ name, prefix })),
    params: rule.fromParams ?? [],
    cookies: rule.fromCookies ?? [],
    forwards: rule.forwardOriginalToken ?? false,
    payloadHeader: rule.outputPayloadToHeader ?? '',
    claimHeaders: rule.outputClaimToHeaders ?? [],
    spaceDelimitedClaims: spaceDelimitedClaims(rule.spaceDelimitedClaims),
    requiresExpiration: rule.requireExpiration ?? false,
    isRequired: rule.presence === 'REQUIRED',
    triggers: [],
  };
}

/** The claims that are lists in any case, and those that a rule names; sorted, each once. */
function spaceDelimitedClaims(claims: readonly string[] | undefined): readonly string[] {
  return [...new Set([...SPACE_DELIMITED, ...(claims ?? [])])].sort();
}

/** Keys written into the rule come first, then a URL, then what the issuer says about itself. */
function tokenKeys(rule: JwtRule): TokenKeys {
  const { issuer, jwks } = rule;
  const place = keysPlaceOf(rule);
  if (jwks) {
    const read = readKeySet(jwks, { sharedSecrets: true });
    return read.ok ? { from: 'text', text: read.text } : { from: 'nowhere' };
  }
  if (place !== '') return { from: 'source', source: `keys ${place}` };
  return issuer ? { from: 'source', source: `issuer ${issuer}` } : { from: 'nowhere' };
}
