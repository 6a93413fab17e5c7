import { invalid, required, violates } from '#api/field-error.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import { isTargeted, targetsOf } from '#policy/authn/workload-policies.ts';
import type { Draft } from '#policy/migrate/draft.ts';
import {
  areCompatible,
  labelsOf,
  unnumberedPorts,
  workloadWith,
} from '#policy/migrate/workload-shape.ts';

/**
 * Tells which targets of Policy objects cannot become selectors: new objects name workloads by
 * their labels and ports by their numbers.
 */
export function checkTargets(draft: Draft): void {
  const { mesh } = draft;
  for (const policy of mesh.authenticationPolicies.all()) {
    const { namespace = '' } = policy.metadata;
    if (namespace === mesh.settings.rootNamespace && targetsOf(policy).length > 0) {
      const detail = 'selectors in the root namespace do not count in the new API';
      draft.report(policy, violates('metadata.namespace', detail));
    }
    for (const index of targetsOf(policy).keys()) checkTarget(policy, index, draft);
  }
}

function checkTarget(policy: AuthenticationPolicy, index: number, draft: Draft): void {
  const { mesh } = draft;
  const { namespace = '' } = policy.metadata;
  const field = `spec.targets[${index}]`;
  const wanted = targetsOf(policy)[index];
  if (wanted === undefined) return;
  const { name, labels = {} } = wanted;
  const host = `${name}.${namespace}.svc.${mesh.settings.clusterDomain}`;
  const service = mesh.services.in(namespace).find((one) => one.host === host);
  if (service === undefined) {
    draft.reportMissing(policy, `${field}.name`, 'Service');
    return;
  }
  if (service.selector === undefined) {
    const detail = 'the service has no selector, so no labels tell its workloads';
    draft.report(policy, invalid(`${field}.name`, name, detail));
    return;
  }
  if (!areCompatible(service.selector, labels)) {
    const detail = 'the selector of the service asks for another value: no workload has both';
    draft.report(policy, violates(`${field}.labels`, detail, 'take the target out'));
    return;
  }
  const ports = service.ports.filter((port) => isTargeted(port, wanted.ports ?? []));
  const target = { policy, service, labels, ports, narrow: false };
  const selector = labelsOf(target) ?? {};
  for (const port of unnumberedPorts(target, workloadWith(selector, namespace, mesh))) {
    const what = `the number of port "${port.targetPort}" of its workloads`;
    const remedy = 'name the file of a WorkloadEntry with its ports, or read a running server';
    draft.report(policy, { ...required(field, what), remedy });
  }
}
