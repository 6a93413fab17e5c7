import { warning } from '#api/field-error.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { JwtRule } from '#api/kinds/jwt-rule.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { KeySets } from '#model/key-sets.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { rulesOf, selects } from '#policy/authn/jwt.ts';
import { areTellable } from '#policy/authn/trigger-paths.ts';
import type { Authorizer, WorkloadAuthorization } from '#policy/authz/selection.ts';
import type { Report } from '#policy/findings.ts';
import { HARDENING } from '#policy/hardening.ts';

/**
 * Tells what policies about the tokens of end users do not do though they may seem to: tokens that
 * are judged but not asked for, tokens that never end, requests that cannot be told apart.
 */
export function tokenFindings(mesh: MeshSnapshot, authorizer: Authorizer, report: Report): void {
  for (const policy of mesh.requestAuthentications.all()) {
    checkRequired(policy, mesh, authorizer, report);
    if (!mesh.settings.requireTokenExpiration) checkExpiration(policy, report);
    checkKeys(policy, mesh, report);
  }
  for (const policy of [...mesh.authenticationPolicies.all(), ...mesh.meshPolicies.all()]) {
    checkTriggers(policy, report);
    checkKeys(policy, mesh, report);
  }
}

/** A request without a token passes, unless something asks for one. */
function checkRequired(
  policy: RequestAuthentication,
  mesh: MeshSnapshot,
  authorizer: Authorizer,
  report: Report,
): void {
  const rules = policy.spec?.jwtRules ?? [];
  if (rules.length === 0 || isEnforced(rules, mesh)) return;
  const open = selected(policy, mesh).find(
    (workload) => !asksForUser(authorizer.authorizationFor(workload, mesh)),
  );
  if (open === undefined) return;
  const who = `${open.namespace}/${open.name}`;
  const message = `tokens are judged, not required: ${who} takes requests without one`;
  const remedy = HARDENING[mesh.settings.hardening].requiredTokensAreEnforced
    ? 'where a token is needed, write presence: REQUIRED, or allow requestPrincipals: ["*"]'
    : 'where a token is needed, allow requestPrincipals: ["*"] in an AuthorizationPolicy';
  report(policy, warning('spec.jwtRules', message, remedy));
}

function isEnforced(rules: readonly JwtRule[], { settings }: MeshSnapshot): boolean {
  const { requiredTokensAreEnforced } = HARDENING[settings.hardening];
  return requiredTokensAreEnforced && rules.some(({ presence }) => presence === 'REQUIRED');
}

/** Workloads that a policy is for; in the root namespace those of the whole mesh. */
function selected(policy: RequestAuthentication, mesh: MeshSnapshot): Workload[] {
  const { namespace = '' } = policy.metadata;
  const isRoot = namespace === mesh.settings.rootNamespace;
  const namespaces = isRoot ? mesh.workloads.namespaces() : [namespace];
  return namespaces
    .flatMap((one) => mesh.workloads.in(one))
    .filter((workload) => selects(policy, workload, mesh.settings.rootNamespace));
}

/**
 * Whether any policy for a workload speaks of end users, asks somebody else, or lets nobody in:
 * then its author has thought of who may come without a token.
 */
function asksForUser({ http }: WorkloadAuthorization): boolean {
  const { custom, deny, allow } = http;
  const admits = allow.enforced?.some(
    ({ sources, operations }) => sources.length * operations.length > 0,
  );
  if (custom.length > 0 || admits === false) return true;
  return [...(deny.enforced ?? []), ...(allow.enforced ?? [])].some(({ sources }) =>
    sources.some((clause) => clause.some(({ on }) => on === 'requestPrincipal' || on === 'claim')),
  );
}

function checkExpiration(policy: RequestAuthentication, report: Report): void {
  const rules = policy.spec?.jwtRules ?? [];
  const at = rules.findIndex(({ requireExpiration }) => requireExpiration !== true);
  if (at < 0) return;
  report(policy, {
    severity: 'info',
    field: `spec.jwtRules[${at}]`,
    message: 'a token without exp is taken, and is valid for ever',
    remedy: 'write requireExpiration: true where the issuer sets exp',
  });
}

/** Without keys nobody gets in with a token, and the status of the policy is where one looks. */
function checkKeys(
  policy: RequestAuthentication | AuthenticationPolicy,
  { keySets }: MeshSnapshot,
  report: Report,
): void {
  // Who only reads objects fetches nothing, and knows nothing of keys.
  if (keySets === KeySets.none) return;
  const rules = rulesOf(policy).filter(
    ({ keys }) => keys.from === 'source' && keySets.get(keys.source) === undefined,
  );
  for (const { issuer } of rules) {
    const message = `there are no keys of ${issuer}: every token of it is refused (401)`;
    const field = policy.kind === 'RequestAuthentication' ? 'spec.jwtRules' : 'spec.origins';
    report(policy, warning(field, message, 'bulwark jwks status says why'));
  }
}

/** What cannot be told apart is refused; whoever wrote the policy has to know why. */
function checkTriggers(policy: AuthenticationPolicy, report: Report): void {
  if (areTellable(rulesOf(policy))) return;
  const message =
    'every request is refused: where the triggerRules of issuers differ, or one has several, ' +
    'paths can only be exact or prefix';
  report(policy, warning('spec.origins', message, 'write the paths as exact or prefix'));
}
