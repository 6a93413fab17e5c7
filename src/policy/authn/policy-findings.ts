import { warning } from '#api/field-error.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import { nearName } from '#api/near-name.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { hasMode, selectsWorkloads } from '#policy/authn/peer-authentication.ts';
import {
  isTargeted,
  PolicyFinder,
  type ServiceTarget,
  targetsOf,
} from '#policy/authn/workload-policies.ts';
import type { Report } from '#policy/findings.ts';

/**
 * Tells what Policy and MeshPolicy objects ask for that does not happen: targets that are not
 * there, targets that an older policy has already, peers that a PeerAuthentication decides about.
 */
export function policyFindings(mesh: MeshSnapshot, report: Report): void {
  const finder = new PolicyFinder(mesh.settings.clusterDomain);
  for (const namespace of mesh.authenticationPolicies.namespaces()) {
    const policies = mesh.authenticationPolicies.in(namespace);
    for (const policy of policies) checkTargets(policy, mesh, report);
    checkConflicts(finder.targetsIn(namespace, mesh), report);
    for (const policy of policies) checkShadow(policy, shadowOf(policy, mesh), report);
  }
  for (const policy of mesh.meshPolicies.in('')) {
    checkShadow(policy, { whole: meshWide(mesh), some: [] }, report);
  }
}

function hostOf(name: string, policy: AuthenticationPolicy, mesh: MeshSnapshot): string {
  return `${name}.${policy.metadata.namespace}.svc.${mesh.settings.clusterDomain}`;
}

function checkTargets(policy: AuthenticationPolicy, mesh: MeshSnapshot, report: Report): void {
  const services = mesh.services.in(policy.metadata.namespace ?? '');
  for (const [index, { name, ports = [] }] of targetsOf(policy).entries()) {
    const field = `spec.targets[${index}]`;
    const wanted = hostOf(name, policy, mesh);
    const service = services.find(({ host }) => host === wanted);
    if (service === undefined) {
      const near = nearName(
        name,
        services.map((one) => one.name),
      );
      const message = `there is no service "${name}" in this namespace: the target means nothing`;
      report(policy, warning(`${field}.name`, message, near && `did you mean "${near}"?`));
      continue;
    }
    for (const [position, port] of ports.entries()) {
      if (service.ports.some((one) => isTargeted(one, [port]))) continue;
      const message = `the service "${name}" has no port ${port.number ?? `"${port.name}"`}`;
      report(policy, warning(`${field}.ports[${position}]`, message));
    }
  }
}

/** Two targets that ask for the same; the one of the older policy comes first and counts. */
function checkConflicts(targets: readonly ServiceTarget[], report: Report): void {
  for (const [index, first] of targets.entries()) {
    for (const second of targets.slice(index + 1)) {
      if (first.policy === second.policy || !overlap(first, second)) continue;
      const { name: older } = first.policy.metadata;
      const { name: younger } = second.policy.metadata;
      const both = `the policies "${older}" and "${younger}" are both for the service `;
      const message = `${both}"${first.service.name}": "${older}" counts, by age, then name`;
      for (const { policy } of [first, second]) {
        report(policy, warning('spec.targets', message, 'let one policy be for the service'));
      }
    }
  }
}

function overlap(a: ServiceTarget, b: ServiceTarget): boolean {
  if (a.service !== b.service || a.narrow !== b.narrow) return false;
  if (!a.ports.some((port) => b.ports.includes(port))) return false;
  // Different values of one label: no workload has both.
  return Object.entries(a.labels).every(([key, value]) => (b.labels[key] ?? value) === value);
}

/** The PeerAuthentication objects that decide instead of older policies. */
interface Shadow {
  readonly whole: PeerAuthentication | undefined;
  readonly some: readonly PeerAuthentication[];
}

function checkShadow(policy: AuthenticationPolicy, { whole, some }: Shadow, report: Report): void {
  if ((policy.spec?.peers ?? []).length === 0) return;
  const remedy = 'delete the older object once the new one says what you want';
  if (whole) {
    const message = `means nothing: PeerAuthentication ${named(whole)} decides`;
    report(policy, warning('spec.peers', message, remedy));
    return;
  }
  for (const one of some) {
    const message = `does not count for the workloads that PeerAuthentication ${named(one)} selects`;
    report(policy, warning('spec.peers', message, remedy));
  }
}

function named({ metadata }: PeerAuthentication): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function general(namespace: string, mesh: MeshSnapshot): PeerAuthentication | undefined {
  const first = mesh.peerAuthentications.in(namespace).find((one) => !selectsWorkloads(one));
  return first && hasMode(first) ? first : undefined;
}

function meshWide(mesh: MeshSnapshot): PeerAuthentication | undefined {
  return general(mesh.settings.rootNamespace, mesh);
}

function shadowOf(policy: AuthenticationPolicy, mesh: MeshSnapshot): Shadow {
  const { namespace = '' } = policy.metadata;
  const whole = general(namespace, mesh) ?? meshWide(mesh);
  const selecting = mesh.peerAuthentications.in(namespace).filter(selectsWorkloads).filter(hasMode);
  if (whole || selecting.length === 0) return { whole, some: [] };
  const selectors = selectorsOf(policy, mesh);
  const workloads = mesh.workloads
    .in(namespace)
    .filter(({ labels }) => selectors.some((selector) => labelsMatch(selector, labels)));
  const some = selecting.filter(({ spec }) =>
    workloads.some(({ labels }) => labelsMatch(spec?.selector?.matchLabels ?? {}, labels)),
  );
  return { whole, some };
}

/** Labels of the workloads that a policy is for, those of each of its services. */
function selectorsOf(policy: AuthenticationPolicy, mesh: MeshSnapshot): readonly Labels[] {
  const targets = targetsOf(policy);
  if (targets.length === 0) return [{}];
  const hosts = new Set(targets.map(({ name }) => hostOf(name, policy, mesh)));
  return mesh.services
    .in(policy.metadata.namespace ?? '')
    .flatMap(({ host, selector }) => (selector && hosts.has(host) ? [selector] : []));
}
