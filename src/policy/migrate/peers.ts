import { forbidden, invalid } from '#api/field-error.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { Labels } from '#model/selector.ts';
import {
  compileNamespaceMtls,
  selectsWorkloads,
  writtenMtls,
} from '#policy/authn/peer-authentication.ts';
import { modeOfPeers } from '#policy/authn/peers.ts';
import { PolicyFinder, targetsOf } from '#policy/authn/workload-policies.ts';
import type { Draft } from '#policy/migrate/draft.ts';
import { targetSelectors, workloadWith } from '#policy/migrate/workload-shape.ts';

/**
 * Makes the PeerAuthentication objects that say what `peers` of Policy and MeshPolicy say. Where
 * such objects are there and decide already, `peers` meant nothing and nothing is made.
 */
export function migratePeers(draft: Draft): void {
  const { mesh } = draft;
  const { rootNamespace, clusterDomain } = mesh.settings;
  const decided = (namespace: string) =>
    compileNamespaceMtls(mesh.peerAuthentications, rootNamespace, namespace);
  if (decided(rootNamespace).common.mode === undefined) {
    for (const policy of mesh.meshPolicies.in('')) addGeneral(policy, rootNamespace, draft);
  }
  const finder = new PolicyFinder(clusterDomain);
  for (const namespace of mesh.authenticationPolicies.namespaces()) {
    const written = decided(namespace);
    if (written.common.mode !== undefined) continue;
    const targets = finder.targetsIn(namespace, mesh);
    const common = mesh.authenticationPolicies
      .in(namespace)
      .find((policy) => targetsOf(policy).length === 0);
    if (common !== undefined) addGeneral(common, namespace, draft);
    for (const labels of targetSelectors(targets)) {
      const workload = workloadWith(labels, namespace, mesh);
      if (writtenMtls(written, labels).mode !== undefined) continue;
      const policies = finder.policiesOf(workload, mesh).ports;
      addForPorts(policies, { namespace, labels }, draft);
    }
  }
}

function addGeneral(policy: AuthenticationPolicy, namespace: string, draft: Draft): void {
  const mode = modeOfPeers(policy);
  if (mode === 'REFUSE') {
    refusedByToken(policy, draft);
    return;
  }
  if (isOfRootNamespace(policy, draft)) {
    const detail = 'in this namespace a PeerAuthentication is for the whole mesh, a Policy is not';
    const remedy = 'move the workloads to a namespace of their own';
    draft.report(policy, forbidden('metadata.namespace', detail, remedy));
    return;
  }
  const other = draft.mesh.peerAuthentications.in(namespace).find((one) => !selectsWorkloads(one));
  if (other !== undefined) {
    const detail = `PeerAuthentication ${namespace}/${other.metadata.name} says UNSET beside it`;
    const remedy = `write mode: ${mode} there, and delete the older object`;
    draft.report(policy, forbidden('spec.peers', detail, remedy));
    return;
  }
  const { name } = policy.metadata;
  const spec = { mtls: { mode } };
  draft.add({ kind: 'PeerAuthentication', namespace, name, labels: undefined, spec }, [policy]);
}

function addForPorts(
  policies: ReadonlyMap<number, AuthenticationPolicy>,
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
  draft: Draft,
): void {
  const portLevelMtls: Record<string, { readonly mode: string }> = {};
  for (const [port, policy] of policies) {
    const mode = modeOfPeers(policy);
    if (mode === 'REFUSE') refusedByToken(policy, draft);
    else portLevelMtls[String(port)] = { mode };
  }
  const from = [...new Set<ApiObject>(policies.values())];
  const [first] = from;
  if (first === undefined || Object.keys(portLevelMtls).length === 0) return;
  const { name } = first.metadata;
  draft.add({ kind: 'PeerAuthentication', namespace, name, labels, spec: { portLevelMtls } }, from);
}

function refusedByToken(policy: AuthenticationPolicy, draft: Draft): void {
  const detail = 'only a token is among the peers, so every connection is closed';
  const remedy = 'write mtls: {}, and the token under origins, if it is the end user who is meant';
  draft.report(policy, invalid('spec.peers', 'jwt', detail, remedy));
}

function isOfRootNamespace(policy: AuthenticationPolicy, { mesh }: Draft): boolean {
  return policy.metadata.namespace === mesh.settings.rootNamespace;
}
