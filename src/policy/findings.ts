import type { Diagnostic } from '#api/diagnostic.ts';
import type { ApiObject } from '#api/object.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { peerAuthenticationFindings } from '#policy/authn/peer-authentication-findings.ts';
import { policyFindings } from '#policy/authn/policy-findings.ts';
import { tokenFindings } from '#policy/authn/token-findings.ts';
import { customFindings } from '#policy/authz/custom-findings.ts';
import { greetingFindings } from '#policy/authz/greeting-findings.ts';
import { listFindings } from '#policy/authz/mixer/list-findings.ts';
import { roleFindings } from '#policy/authz/roles/role-findings.ts';
import { ruleFindings } from '#policy/authz/rule-findings.ts';
import type { Authorizer } from '#policy/authz/selection.ts';
import { gatewayFindings } from '#policy/gateway/gateway-findings.ts';
import { destinationRuleFindings } from '#policy/tls/destination-rule-findings.ts';

/** Takes what is found about an object of the mesh. */
export type Report = (object: ApiObject, diagnostic: Diagnostic) => void;

/** What users should know about their objects, by object; one without findings is not in it. */
export type Findings = ReadonlyMap<ApiObject, readonly Diagnostic[]>;

/**
 * Everything about the policies of a mesh that only the mesh as a whole can tell, or that compiling
 * found: what is not there, what does not count, and why. Pure.
 */
export function findingsOf(mesh: MeshSnapshot, authorizer: Authorizer): Findings {
  const found = new Map<ApiObject, Diagnostic[]>();
  const report: Report = (object, diagnostic) => {
    const list = found.get(object);
    if (list) list.push(diagnostic);
    else found.set(object, [diagnostic]);
  };
  for (const policy of mesh.authorizationPolicies.all()) {
    for (const diagnostic of authorizer.compile(policy).diagnostics) report(policy, diagnostic);
  }
  for (const rule of mesh.mixerRules.all()) {
    for (const diagnostic of authorizer.diagnosticsOf(rule, mesh)) report(rule, diagnostic);
  }
  listFindings(mesh, report);
  customFindings(mesh, authorizer, report);
  greetingFindings(mesh, authorizer, report);
  ruleFindings(mesh, authorizer, report);
  roleFindings(mesh, report);
  peerAuthenticationFindings(mesh, report);
  policyFindings(mesh, report);
  tokenFindings(mesh, authorizer, report);
  destinationRuleFindings(mesh, report);
  gatewayFindings(mesh, report);
  return found;
}
