import type { Diagnostic } from '#api/diagnostic.ts';
import { warning } from '#api/field-error.ts';
import type { ExtensionProvider } from '#model/extension-provider.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { portsHandled, workloadsOf } from '#policy/authz/policy-workloads.ts';
import { providedHeaders } from '#policy/authz/provided-headers.ts';
import type { Authorizer, WorkloadAuthorization } from '#policy/authz/selection.ts';
import type { Report } from '#policy/findings.ts';
import { HARDENING } from '#policy/hardening.ts';

const FIELD = 'spec.provider.name';

/**
 * Tells of policies of action CUSTOM whose provider cannot be asked, and of what asking it leaves
 * open.
 */
export function customFindings(mesh: MeshSnapshot, authorizer: Authorizer, report: Report): void {
  for (const policy of mesh.authorizationPolicies.all()) {
    const { namespace = '' } = policy.metadata;
    const { provider: name, dryRun } = authorizer.compile(policy);
    if (name === undefined || dryRun) continue;
    const { provider, problem, remedy } = authorizer.providerState(name, namespace, mesh);
    if (problem !== undefined) report(policy, cannotBeAsked(problem, remedy, mesh));
    if (!provider || problem !== undefined) continue;
    const workloads = workloadsOf(policy, mesh);
    const isOpen = (one: Workload) =>
      portsHandled(one, mesh, ({ handling }) => handling === 'tcp').length > 0;
    if (provider.check.over === 'http' && workloads.some(isOpen)) report(policy, openPorts(name));
    if (workloads.some((one) => isLeftOut(name, authorizer.authorizationFor(one, mesh))))
      report(policy, cannotBeAsked('there are too many providers for one workload', '', mesh));
    const spoofed = headersOfCallers(provider, mesh);
    if (spoofed.length > 0) report(policy, callersMaySet(spoofed));
  }
}

function cannotBeAsked(
  problem: string,
  remedy: string | undefined,
  { settings }: MeshSnapshot,
): Diagnostic {
  const { customProvidersAreIndependent } = HARDENING[settings.hardening];
  const what = customProvidersAreIndependent ? 'requests that match' : 'all requests';
  return {
    severity: 'error',
    field: FIELD,
    message: `${problem}: ${what} are denied`,
    ...(remedy ? { remedy } : {}),
  };
}

function openPorts(name: string): Diagnostic {
  const message = `${name} is asked over HTTP: ports that are not HTTP are open to everybody`;
  return warning(FIELD, message, 'close them with a policy of action ALLOW or DENY');
}

function callersMaySet(headers: readonly string[]): Diagnostic {
  const message = `when it does not answer, callers may set ${headers.join(', ')} themselves`;
  return warning(FIELD, message, 'turn failOpen off');
}

function isLeftOut(name: string, { http }: WorkloadAuthorization): boolean {
  return !http.custom.some(({ provider }) => provider.name === name);
}

/** Headers that reach the application as callers send them where the provider fails open. */
function headersOfCallers(
  provider: ExtensionProvider,
  { settings }: MeshSnapshot,
): readonly string[] {
  if (!provider.failOpen || provider.check.over !== 'http') return [];
  const { providedHeadersAreStripped } = HARDENING[settings.hardening];
  return providedHeadersAreStripped ? providedHeaders(provider).kept : provider.check.toApplication;
}
