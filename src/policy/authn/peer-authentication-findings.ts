import { warning } from '#api/field-error.ts';
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { selectsWorkloads } from '#policy/authn/peer-authentication.ts';
import type { Report } from '#policy/findings.ts';

/** Tells which PeerAuthentication objects do not count, or not for all that they select. */
export function peerAuthenticationFindings(mesh: MeshSnapshot, report: Report): void {
  for (const namespace of mesh.peerAuthentications.namespaces()) {
    const policies = mesh.peerAuthentications.in(namespace);
    const [first, ...others] = policies.filter((policy) => !selectsWorkloads(policy));
    for (const policy of others) checkYounger(policy, first, report);
    for (const policy of policies) checkPorts(policy, report);
    const selecting = policies.filter(selectsWorkloads);
    if (namespace === mesh.settings.rootNamespace) {
      for (const policy of selecting) checkRoot(policy, report);
    } else checkSelected(selecting, namespace, mesh, report);
  }
}

function checkYounger(
  policy: PeerAuthentication,
  first: PeerAuthentication | undefined,
  report: Report,
): void {
  const message = `does not count: "${first?.metadata.name}" is for the same workloads and older`;
  report(policy, warning('spec', message, 'delete one of the two'));
}

function checkPorts(policy: PeerAuthentication, report: Report): void {
  if (selectsWorkloads(policy) || policy.spec?.portLevelMtls === undefined) return;
  const message = 'does not count without a selector';
  report(policy, warning('spec.portLevelMtls', message, 'select the workloads by their labels'));
}

function checkRoot(policy: PeerAuthentication, report: Report): void {
  const message = 'does not count: in the root namespace only objects without selector do';
  report(policy, warning('spec.selector', message, 'select workloads in their own namespace'));
}

/** Of several that select one workload the oldest counts. */
function checkSelected(
  selecting: readonly PeerAuthentication[],
  namespace: string,
  mesh: MeshSnapshot,
  report: Report,
): void {
  const told = new Set<PeerAuthentication>();
  for (const { labels } of mesh.workloads.in(namespace)) {
    const [first, ...others] = selecting.filter(({ spec }) =>
      labelsMatch(spec?.selector?.matchLabels ?? {}, labels),
    );
    for (const policy of others) {
      if (told.has(policy)) continue;
      told.add(policy);
      const message = `does not count for workloads that "${first?.metadata.name}", which is older, selects`;
      report(policy, warning('spec.selector', message));
    }
  }
}
