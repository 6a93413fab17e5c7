import { invalid, violates, warning } from '#api/field-error.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { AuthorizationRule } from '#api/kinds/authorization-policy.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { Labels } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { TokenPolicies } from '#policy/authn/jwt.ts';
import { PolicyFinder, targetsOf } from '#policy/authn/workload-policies.ts';
import type { Draft } from '#policy/migrate/draft.ts';
import { servedPorts, targetSelectors, workloadWith } from '#policy/migrate/workload-shape.ts';

type Jwt = NonNullable<
  NonNullable<NonNullable<AuthenticationPolicy['spec']>['origins']>[number]['jwt']
>;
type Trigger = NonNullable<Jwt['triggerRules']>[number];
type PathMatch = NonNullable<Trigger['includedPaths']>[number];

/** Where new objects go: workloads by their labels, or all of a namespace. */
interface Place {
  readonly namespace: string;
  readonly labels: Labels | undefined;
}

/** A policy with the ports of workloads on which it asks for tokens: these, or all but these. */
interface Asked {
  readonly policy: AuthenticationPolicy;
  readonly ports: 'these' | 'others';
  readonly numbers: readonly number[];
}

/**
 * Makes what `origins` of Policy and MeshPolicy say: a RequestAuthentication for the tokens that
 * are taken, and, where one is needed, an AuthorizationPolicy that denies requests without. Where
 * rules of RequestAuthentication are there already, `origins` meant nothing.
 */
export function migrateOrigins(draft: Draft): void {
  const { mesh } = draft;
  const { rootNamespace, clusterDomain } = mesh.settings;
  const finder = new PolicyFinder(clusterDomain);
  const isDecided = decidedByNewObjects(mesh);
  const generally = (policy: AuthenticationPolicy, namespace: string, scope: string[]) => {
    const numbers = plainPorts(scope, mesh);
    const asked = { policy, ports: 'others', numbers } as const;
    if (!isDecided(namespace, {})) add([asked], { namespace, labels: undefined }, draft);
  };
  const everywhere = [...new Set(mesh.services.all().map(({ namespace }) => namespace))];
  for (const policy of mesh.meshPolicies.in('')) generally(policy, rootNamespace, everywhere);
  for (const namespace of mesh.authenticationPolicies.namespaces()) {
    const common = mesh.authenticationPolicies
      .in(namespace)
      .find((policy) => targetsOf(policy).length === 0);
    if (common !== undefined) generally(common, namespace, [namespace]);
    const targets = finder.targetsIn(namespace, mesh);
    for (const labels of targetSelectors(targets)) {
      if (isDecided(namespace, labels)) continue;
      const workload = workloadWith(labels, namespace, mesh);
      const { http } = servedPorts(workload, mesh.services.in(namespace));
      const byPolicy = Map.groupBy(
        [...finder.policiesOf(workload, mesh).ports].filter(([port]) => http.includes(port)),
        ([, policy]) => policy,
      );
      const asked = [...byPolicy].map(([policy, entries]) => {
        const numbers = entries.map(([port]) => port);
        return { policy, ports: 'these', numbers } as const;
      });
      add(asked, { namespace, labels }, draft);
    }
  }
}

/** Whether rules for tokens of the new API select the workloads of a selector. */
function decidedByNewObjects(mesh: MeshSnapshot) {
  const authenticationPolicies = NamespacedObjects.empty<AuthenticationPolicy>();
  const sources = { ...mesh, authenticationPolicies, meshPolicies: authenticationPolicies };
  const policies = new TokenPolicies(mesh.settings);
  return (namespace: string, labels: Labels): boolean =>
    policies.tokensFor(workloadWith(labels, namespace, mesh), sources).common.rules.length > 0;
}

/** The ports of the workloads of some namespaces on which no requests are seen; sorted. */
function plainPorts(namespaces: readonly string[], mesh: MeshSnapshot): readonly number[] {
  const served = namespaces.flatMap((namespace) => {
    const services = mesh.services.in(namespace);
    return services.flatMap(({ selector }) =>
      selector ? [servedPorts(workloadWith(selector, namespace, mesh), services)] : [],
    );
  });
  const http = new Set(served.flatMap((one) => one.http));
  const tcp = new Set(served.flatMap((one) => one.tcp));
  return [...tcp].filter((port) => !http.has(port)).sort((a, b) => a - b);
}

function add(asked: readonly Asked[], place: Place, draft: Draft): void {
  const withOrigins = asked.filter(({ policy }) => (policy.spec?.origins ?? []).length > 0);
  const [first] = withOrigins;
  if (first === undefined) return;
  const from = withOrigins.map(({ policy }) => policy);
  const { name } = first.policy.metadata;
  const rules = withOrigins.flatMap(({ policy }) => jwtsOf(policy).map(jwtRule));
  const jwtRules = [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()];
  draft.add({ kind: 'RequestAuthentication', ...place, name, spec: { jwtRules } }, from);
  const denying = withOrigins.filter(({ policy }) => !policy.spec?.originIsOptional);
  const denied = denying.flatMap((one) => denyRules(one, draft));
  for (const { policy } of withOrigins) tellWhatIsNew(policy, place, draft);
  if (denied.length === 0) return;
  const spec = { action: 'DENY', rules: denied };
  const denyName = `${name}-needs-token`;
  draft.add(
    { kind: 'AuthorizationPolicy', ...place, name: denyName, spec },
    denying.map(({ policy }) => policy),
  );
}

function jwtsOf({ spec }: AuthenticationPolicy): readonly Jwt[] {
  return (spec?.origins ?? []).flatMap(({ jwt }) => jwt ?? []);
}

/** In the old API the application always gets the token. */
function jwtRule({ jwtHeaders = [], jwtParams = [], triggerRules, ...same }: Jwt) {
  return {
    ...same,
    ...(jwtHeaders.length > 0 && { fromHeaders: jwtHeaders.map((name) => ({ name })) }),
    ...(jwtParams.length > 0 && { fromParams: jwtParams }),
    forwardOriginalToken: true,
  };
}

const PORTS_FIELD = { these: 'ports', others: 'notPorts' } as const;

/** The rules that match requests to a policy's ports without a token of one of its issuers. */
function denyRules({ policy, ports, numbers }: Asked, draft: Draft): readonly AuthorizationRule[] {
  const jwts = jwtsOf(policy);
  const triggers = new Map(jwts.map(({ triggerRules = [] }) => [key(triggerRules), triggerRules]));
  const [common = []] = triggers.values();
  if (triggers.size > 1) {
    const detail = 'issuers with different rules: no AuthorizationPolicy tells them apart';
    draft.report(policy, violates('spec.origins[1].jwt.triggerRules', detail));
    return [];
  }
  const issuers = jwts.map(({ issuer = '' }) => issuer);
  const patterns = issuers.filter((issuer) => /^\*|\*$/.test(issuer));
  if (patterns.length > 0) {
    const detail = 'a policy would take the asterisk for a pattern';
    draft.report(policy, invalid('spec.origins', patterns[0], detail));
    return [];
  }
  if (ports === 'these' && numbers.length === 0) return [];
  const operations =
    common.length === 0
      ? [{}]
      : common.map((trigger, index) =>
          pathsOf(trigger, `spec.origins[0].jwt.triggerRules[${index}]`, policy, draft),
        );
  if (operations.includes('inexpressible')) return [];
  return exceptPreflights(
    operations.filter((one) => one !== 'inexpressible'),
    numbers.length === 0 ? {} : { [PORTS_FIELD[ports]]: numbers.map(String) },
    { key: 'request.auth.claims[iss]', notValues: issuers },
  );
}

/**
 * Browsers send no token when they ask whether they may call (a CORS preflight), and none is asked
 * of them: OPTIONS with both headers.
 */
function exceptPreflights(
  operations: readonly object[],
  common: object,
  condition: { readonly key: string; readonly notValues: readonly string[] },
): readonly AuthorizationRule[] {
  const to = (methods: object) =>
    operations.map((operation) => ({ operation: { ...common, ...operation, ...methods } }));
  const without = (header: string) => ({ key: `request.headers[${header}]`, notValues: ['*'] });
  return [
    { to: to({ notMethods: ['OPTIONS'] }), when: [condition] },
    { to: to({ methods: ['OPTIONS'] }), when: [condition, without('origin')] },
    {
      to: to({ methods: ['OPTIONS'] }),
      when: [condition, without('access-control-request-method')],
    },
  ];
}

function pathsOf(
  { includedPaths = [], excludedPaths = [] }: Trigger,
  field: string,
  policy: AuthenticationPolicy,
  draft: Draft,
): object | 'inexpressible' {
  const texts = (matches: readonly PathMatch[], name: string) =>
    matches.map((match, index) => pathText(match, `${field}.${name}[${index}]`, policy, draft));
  const paths = texts(includedPaths, 'includedPaths');
  const notPaths = texts(excludedPaths, 'excludedPaths');
  if ([...paths, ...notPaths].includes(undefined)) return 'inexpressible';
  return { ...(paths.length > 0 && { paths }), ...(notPaths.length > 0 && { notPaths }) };
}

/** A path as policies write it; undefined for one that they cannot write. */
function pathText(
  { exact, prefix, suffix, regex }: PathMatch,
  field: string,
  policy: AuthenticationPolicy,
  draft: Draft,
): string | undefined {
  const value = exact ?? prefix ?? suffix ?? regex ?? '';
  // An operator of a path template, or an asterisk that would be a wildcard.
  const isPlain = !/[{}]|^\*|\*$/.test(value);
  if (regex === undefined && isPlain) {
    if (exact !== undefined) return exact;
    return prefix === undefined ? `*${suffix}` : `${prefix}*`;
  }
  const detail = 'an AuthorizationPolicy has whole paths, beginnings and ends only';
  draft.report(policy, invalid(field, value, detail, 'write the paths one by one'));
  return undefined;
}

/** What the new API does otherwise wherever it is used; nobody is let in by it. */
function tellWhatIsNew(policy: AuthenticationPolicy, place: Place, draft: Draft): void {
  const told = (message: string) => draft.report(policy, warning('spec.origins', message));
  if (!policy.spec?.originIsOptional) told('requests without a token are answered 403, not 401');
  if (place.labels === undefined && !policy.spec?.originIsOptional) {
    told('ports that are not HTTP are listed under notPorts: add those of services to come');
  }
}

function key(triggers: readonly Trigger[]): string {
  return JSON.stringify(triggers);
}
