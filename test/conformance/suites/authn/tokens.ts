import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { readKeySet } from '#api/key-set.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { JwtRule } from '#api/kinds/jwt-rule.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { JwtAuthenticationSchema } from '#gen/envoy-api/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { KeySets, type KeySource } from '#model/key-sets.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import { ServiceIndex } from '#model/service-index.ts';
import { readInstance } from '#model/workload.ts';
import { type PortTokens, TokenPolicies } from '#policy/authn/jwt.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { buildJwtAuthentication } from '#xds/generate/authn/jwt.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { AuthnCheck, AuthnRow } from './row.ts';

const ROOT = 'root-namespace';
const OWN = 'my-ns';

/** As the mesh has it whose hardening profile is `istio`. */
const PROFILE = { enforceRequired: false, refuseBadOptional: false, checkBearer: false };

type Spec = NonNullable<RequestAuthentication['spec']>;
type OldSpec = NonNullable<AuthenticationPolicy['spec']>;

interface Config {
  readonly spec?: Spec;
}

/** What is decided for one workload that every object of the row is for. */
export function tokensOf(specs: readonly Spec[], old: OldSpec | undefined): PortTokens {
  const metadata = { namespace: OWN, name: 'one' };
  const objects = specs.map(
    (spec, index): RequestAuthentication => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { namespace: OWN, name: `config-${index}` },
      spec,
    }),
  );
  const policy = { apiVersion: 'authentication.istio.io/v1alpha1', kind: 'Policy', metadata };
  const policies = old === undefined ? [] : [{ ...policy, spec: { ...old, targets: [] } }];
  const workload = readInstance({
    ...metadata,
    trustDomain: parseTrustDomain('cluster.local'),
    applicationPorts: {},
    spec: { address: '10.0.0.1', labels: {} },
  });
  return new TokenPolicies({ rootNamespace: ROOT, clusterDomain: 'cluster.local' }).tokensFor(
    workload,
    {
      requestAuthentications: NamespacedObjects.empty<RequestAuthentication>().replace(
        new Map([[OWN, objects]]),
      ),
      authenticationPolicies: NamespacedObjects.empty<AuthenticationPolicy>().replace(
        new Map([[OWN, policies]]),
      ),
      meshPolicies: NamespacedObjects.empty(),
      services: new ServiceIndex(new Map()),
    },
  ).common;
}

/**
 * The keys of every source of the rules: those that the row expects of the provider of that place.
 */
function keySetsFor({ rules }: PortTokens, expected: unknown): KeySets {
  const texts = new Map<KeySource, string>();
  for (const [index, { keys }] of rules.entries()) {
    const text = inlineKeys(expected, `origins-${index}`);
    if (keys.from !== 'source' || text === undefined) continue;
    const read = readKeySet(text, { sharedSecrets: false });
    if (read.ok) texts.set(keys.source, read.text);
  }
  return new KeySets(texts);
}

interface ExpectedProviders {
  readonly providers?: Readonly<
    Record<string, { readonly localJwks?: { readonly inlineString?: string } }>
  >;
}

function inlineKeys(expected: unknown, name: string): string | undefined {
  return (expected as ExpectedProviders).providers?.[name]?.localJwks?.inlineString;
}

/** What both releases say; where the older one puts the payload is a choice of its filters. */
function canonical(config: JsonValue, release: AuthnRow['release']): JsonValue {
  const message = fromJson(JwtAuthenticationSchema, config);
  // Tokens that were verified are kept here; that does not change what is decided.
  for (const provider of Object.values(message.providers)) delete provider.jwtCacheConfig;
  if (release === '1.5.10') {
    message.bypassCorsPreflight = false;
    for (const provider of Object.values(message.providers)) {
      provider.payloadInMetadata = '';
      delete provider.normalizePayloadInMetadata;
    }
  }
  return toJson(JwtAuthenticationSchema, message);
}

function filterDifference(tokens: PortTokens, expected: unknown, row: AuthnRow) {
  if ((expected ?? null) === null) {
    return tokens.rules.length === 0
      ? undefined
      : `${tokens.rules.length} rules, expected no filter`;
  }
  const message = buildJwtAuthentication(tokens, keySetsFor(tokens, expected), PROFILE);
  const actual = canonical(toJson(JwtAuthenticationSchema, message), row.release);
  return jsonDifference(canonical(expected as JsonValue, row.release), actual);
}

/** The configuration within a filter. */
function configOf(filter: unknown): unknown {
  if ((filter ?? null) === null) return null;
  const { typedConfig } = filter as { typedConfig: Readonly<Record<string, unknown>> };
  const { '@type': _type, ...config } = typedConfig;
  return config;
}

const jwtFilter: AuthnCheck = (row) => {
  const {
    in: configs,
    alphaPolicyIn,
    expected,
    jwksFetchMode,
  } = row.fields as {
    readonly in?: readonly Config[] | null;
    readonly alphaPolicyIn?: OldSpec;
    readonly expected?: unknown;
    readonly jwksFetchMode?: string;
  };
  if (jwksFetchMode !== undefined && jwksFetchMode !== 'istiod') {
    return `not built: keys that proxies fetch themselves (${jwksFetchMode})`;
  }
  const tokens = tokensOf(
    (configs ?? []).map(({ spec = {} }) => spec),
    alphaPolicyIn,
  );
  return filterDifference(tokens, configOf(expected), row);
};

const jwtConfig: AuthnCheck = (row) => {
  const { in: rules, expected } = row.fields as {
    readonly in?: readonly JwtRule[] | null;
    readonly expected?: unknown;
  };
  return filterDifference(tokensOf([{ jwtRules: rules ?? [] }], undefined), expected, row);
};

const spaceDelimited: AuthnCheck = ({ fields }) => {
  const { input, expected } = fields as { input: string[] | null; expected: string[] };
  const rule = {
    issuer: 'https://one',
    ...(input === null ? {} : { spaceDelimitedClaims: input }),
  };
  const [found] = tokensOf([{ jwtRules: [rule] }], undefined).rules;
  return jsonDifference(expected, [...(found?.spaceDelimitedClaims ?? [])]);
};

const collected: AuthnCheck = ({ fields }) => {
  const { in: spec, expectedSize } = fields as { in?: OldSpec; expectedSize?: number };
  return jsonDifference(expectedSize ?? 0, tokensOf([], spec ?? {}).rules.length);
};

/** Policies of the old API: only whether there is a filter is the same in its release. */
const oldFilter: AuthnCheck = (row) => {
  const { in: spec, expected } = row.fields as { in?: OldSpec | null; expected?: unknown };
  if ((expected ?? null) !== null) return 'not built: the filter of the proxy of that release';
  return filterDifference(tokensOf([], spec ?? {}), null, row);
};

/** The suites about tokens of end users. */
export const TOKEN_CHECKS: Readonly<Record<string, AuthnCheck>> = {
  TestJwtFilter: jwtFilter,
  TestConvertToEnvoyJwtConfig: jwtConfig,
  TestBuildSpaceDelimitedClaims: spaceDelimited,
  TestCollectJwtSpecs: collected,
  TestBuildJwtFilter: oldFilter,
};
