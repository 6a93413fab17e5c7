import { readKeySet } from '#api/key-set.ts';
import type { JwtRule } from '#api/kinds/jwt-rule.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { parseDurationMs } from '#base/duration.ts';
import type { KeySource } from '#model/key-sets.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import { SharedByList } from '#policy/shared-by-list.ts';

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
  /** How long to wait for the keys. */
  readonly keysTimeoutMs: number;
}

/** What holds for the tokens in the requests to one workload. Immutable. */
export interface WorkloadTokens {
  /** By issuer; of one issuer in the order of the policies. None = tokens mean nothing. */
  readonly rules: readonly TokenRule[];
}

/** Istio's own wait for the keys of an issuer. */
const KEYS_TIMEOUT_MS = 5000;
/** Always lists, as in Istio. */
const SPACE_DELIMITED = ['permission', 'scope'] as const;

/** The workload that policies are selected for. */
interface TokenWorkload {
  readonly namespace: string;
  readonly labels: Labels;
}

/**
 * Reads RequestAuthentication objects and selects them for workloads. It remembers results by the
 * identity of objects, so that workloads with the same policies get the same object.
 */
export class TokenPolicies {
  readonly #rootNamespace: string;
  readonly #shared = new SharedByList<RequestAuthentication, WorkloadTokens>();

  constructor(rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
  }

  /** All that holds for a workload: policies of its namespace, then of the root namespace. */
  tokensFor(
    workload: TokenWorkload,
    policies: NamespacedObjects<RequestAuthentication>,
  ): WorkloadTokens {
    const namespaces = new Set([workload.namespace, this.#rootNamespace]);
    const selected = [...namespaces]
      .flatMap((namespace) => policies.in(namespace))
      .filter((policy) => selects(policy, workload));
    return this.#shared.get(selected, () => compileTokens(selected));
  }
}

/** The rules of several policies as one. Any token that one rule takes is enough. */
function compileTokens(policies: readonly RequestAuthentication[]): WorkloadTokens {
  const rules = policies.flatMap((policy) => (policy.spec?.jwtRules ?? []).map(compileTokenRule));
  return {
    rules: rules.sort((a, b) => (a.issuer === b.issuer ? 0 : a.issuer < b.issuer ? -1 : 1)),
  };
}

/** Where the keys that a policy names are to be fetched from; each once. */
export function keySourcesOf(policy: RequestAuthentication): readonly KeySource[] {
  const sources = (policy.spec?.jwtRules ?? []).flatMap((rule) => {
    const keys = tokenKeys(rule);
    return keys.from === 'source' ? [keys.source] : [];
  });
  return [...new Set(sources)];
}

function selects({ spec }: RequestAuthentication, workload: TokenWorkload): boolean {
  // References are to gateways and services, never to a workload by its labels.
  if (spec?.targetRef !== undefined || (spec?.targetRefs ?? []).length > 0) return false;
  return labelsMatch(spec?.selector?.matchLabels ?? {}, workload.labels);
}

function compileTokenRule(rule: JwtRule): TokenRule {
  const { issuer = '', audiences = [], fromHeaders = [], timeout } = rule;
  return {
    issuer,
    audiences,
    keys: tokenKeys(rule),
    headers: fromHeaders.map(({ name, prefix = '' }) => ({ name, prefix })),
    params: rule.fromParams ?? [],
    cookies: rule.fromCookies ?? [],
    forwards: rule.forwardOriginalToken ?? false,
    payloadHeader: rule.outputPayloadToHeader ?? '',
    claimHeaders: rule.outputClaimToHeaders ?? [],
    spaceDelimitedClaims: spaceDelimitedClaims(rule.spaceDelimitedClaims),
    requiresExpiration: rule.requireExpiration ?? false,
    isRequired: rule.presence === 'REQUIRED',
    keysTimeoutMs:
      (timeout === undefined ? undefined : parseDurationMs(timeout)) ?? KEYS_TIMEOUT_MS,
  };
}

/** The claims that are lists in any case, and those that a rule names; sorted, each once. */
function spaceDelimitedClaims(claims: readonly string[] | undefined): readonly string[] {
  return [...new Set([...SPACE_DELIMITED, ...(claims ?? [])])].sort();
}

/** Keys written into the rule come first, then a URL, then what the issuer says about itself. */
function tokenKeys({ issuer, jwks, jwksUri }: JwtRule): TokenKeys {
  if (jwks) {
    const read = readKeySet(jwks, { sharedSecrets: true });
    return read.ok ? { from: 'text', text: read.text } : { from: 'nowhere' };
  }
  if (jwksUri) return { from: 'source', source: `keys ${jwksUri}` };
  return issuer ? { from: 'source', source: `issuer ${issuer}` } : { from: 'nowhere' };
}
