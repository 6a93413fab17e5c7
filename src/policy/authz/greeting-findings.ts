import { warning } from '#api/field-error.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import { isDecidedByPeer } from '#policy/authz/peer-verdict.ts';
import { portsHandled, workloadsOf } from '#policy/authz/policy-workloads.ts';
import type { Authorizer } from '#policy/authz/selection.ts';
import type { Report } from '#policy/findings.ts';
import { HARDENING } from '#policy/hardening.ts';

/**
 * Tells of policies for ports on which the server speaks first, where its greeting reaches callers
 * before they are judged.
 */
export function greetingFindings(mesh: MeshSnapshot, authorizer: Authorizer, report: Report): void {
  const { tcpWaitsForCaller: isGated } = HARDENING[mesh.settings.hardening];
  for (const policy of mesh.authorizationPolicies.all()) {
    const compiled = authorizer.compile(policy);
    const field = fieldOf(compiled, isGated);
    if (field === undefined) continue;
    const ports = workloadsOf(policy, mesh).flatMap((workload) =>
      portsHandled(workload, mesh, ({ serverFirst }) => serverFirst),
    );
    const [port] = ports;
    if (port === undefined) continue;
    const message = `the server of port ${port} speaks first: callers hear its greeting before this is looked at`;
    report(policy, warning(field, message, 'let identities alone decide about this port'));
  }
}

/** The field that comes too late; undefined when none does. */
function fieldOf(policy: CompiledPolicy, isGated: boolean): string | undefined {
  const { action, dryRun, tcp, provider } = policy;
  if (dryRun || action === 'AUDIT' || tcp.length === 0) return undefined;
  if (provider !== undefined) return 'spec.provider.name';
  const late = isGated ? tcp.find((rule) => !isDecidedByPeer(rule)) : tcp[0];
  return late && fieldOfRule(late);
}

function fieldOfRule({ index }: CompiledRule): string {
  return `spec.rules[${index}]`;
}
