import { warning } from '#api/field-error.ts';
import type { RbacConfig } from '#api/kinds/rbac-config.ts';
import type { ServiceRole } from '#api/kinds/service-role.ts';
import type { ServiceRoleBinding } from '#api/kinds/service-role-binding.ts';
import { nearName } from '#api/near-name.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { KnownCallers } from '#policy/authz/known-callers.ts';
import { rbacModeOf } from '#policy/authz/roles/rbac-mode.ts';
import { roleOf, withoutRole } from '#policy/authz/roles/role-finder.ts';
import { parseTextMatch, textMatches } from '#policy/authz/text-match.ts';
import type { Report } from '#policy/findings.ts';

/**
 * Tells of roles that give nobody anything: that nobody has, for services that are not there, given
 * to nobody that is known, or that others decide instead of.
 */
export function roleFindings(mesh: MeshSnapshot, report: Report): void {
  const roles = mesh.serviceRoles.all();
  const bindings = mesh.serviceRoleBindings.all();
  const configs = [...mesh.clusterRbacConfigs.all(), ...mesh.rbacConfigs.all()];
  const mode = rbacModeOf(mesh, mesh.settings.rootNamespace);
  for (const config of configs) checkConfig(config, mode?.config, mesh, report);
  if (roles.length + bindings.length === 0) return;
  const callers = new KnownCallers(mesh);
  const given = new Set<ServiceRole>();
  for (const binding of bindings) {
    const role = roleOf(binding, mesh, mesh.settings.rootNamespace);
    if (role) given.add(role);
    checkBinding(binding, role, mesh, report);
    checkSubjects(binding, callers, report);
    if (!mode) report(binding, warning('', NO_MODE, 'apply a ClusterRbacConfig'));
  }
  for (const role of roles) {
    if (!given.has(role)) report(role, warning('', 'no ServiceRoleBinding gives it to anybody'));
    checkServices(role, mesh, report);
  }
}

const NO_MODE = 'means nothing: no RbacConfig or ClusterRbacConfig turns roles on';

function checkConfig(
  config: RbacConfig,
  counting: RbacConfig | undefined,
  mesh: MeshSnapshot,
  report: Report,
): void {
  const { spec = {}, metadata } = config;
  if (counting && config !== counting) {
    const { namespace, name } = counting.metadata;
    const which = `${counting.kind} ${namespace ? `${namespace}/` : ''}${name}`;
    report(config, warning('', `does not count: ${which} does`, 'delete one of the two'));
  } else if (!counting && metadata.name !== 'default') {
    report(config, warning('metadata.name', 'does not count: its name has to be "default"'));
  }
  const hosts = new Set(mesh.services.all().map((service) => service.host));
  for (const place of ['inclusion', 'exclusion'] as const) {
    for (const [index, host] of (spec[place]?.services ?? []).entries()) {
      if (hosts.has(host)) continue;
      const near = nearName(host, hosts);
      const message = `there is no service "${host}"`;
      const remedy = near && `did you mean "${near}"?`;
      report(config, warning(`spec.${place}.services[${index}]`, message, remedy));
    }
  }
}

function checkBinding(
  binding: ServiceRoleBinding,
  role: ServiceRole | undefined,
  mesh: MeshSnapshot,
  report: Report,
): void {
  const { rootNamespace } = mesh.settings;
  if (!role && binding.spec?.actions === undefined)
    report(binding, withoutRole(binding, mesh, rootNamespace));
  const { namespace = '' } = binding.metadata;
  const policies = [...new Set([rootNamespace, namespace])].flatMap((place) =>
    mesh.authorizationPolicies.in(place),
  );
  const isForAll = policies.find(({ spec }) => {
    const { selector, targetRef, targetRefs = [] } = spec ?? {};
    const labels = Object.keys(selector?.matchLabels ?? {});
    return labels.length === 0 && targetRef === undefined && targetRefs.length === 0;
  });
  if (!isForAll) return;
  const { namespace: place, name } = isForAll.metadata;
  const message = `means nothing: AuthorizationPolicy ${place}/${name} decides instead of roles`;
  report(binding, warning('', message, 'delete what is left of the older API, or that policy'));
}

function checkSubjects(binding: ServiceRoleBinding, callers: KnownCallers, report: Report): void {
  const { subjects = [] } = binding.spec ?? {};
  if (subjects.length === 0)
    report(binding, warning('spec.subjects', 'nobody gets the role: there are no subjects'));
  for (const [index, { user, names = [], namespaces = [] }] of subjects.entries()) {
    const at = `spec.subjects[${index}]`;
    const tell = (field: string, problem: string | undefined): void => {
      if (problem !== undefined) report(binding, warning(`${at}.${field}`, problem));
    };
    for (const principal of user === undefined ? names : [user, ...names])
      tell(principal === user ? 'user' : 'names', callers.principalProblem(principal));
    for (const namespace of namespaces)
      tell('namespaces', callers.namespaceProblem(namespace, binding.metadata.namespace ?? ''));
  }
}

function checkServices(role: ServiceRole, mesh: MeshSnapshot, report: Report): void {
  const services = mesh.services.in(role.metadata.namespace ?? '');
  const names = services.flatMap(({ host }) => [host, host.split('.', 1)[0] ?? '']);
  for (const [index, rule] of (role.spec?.rules ?? []).entries()) {
    for (const [position, pattern] of (rule.services ?? []).entries()) {
      const match = parseTextMatch(pattern);
      if (match.match === 'present' || names.some((name) => textMatches(match, name))) continue;
      const near = nearName(pattern, names);
      const message = `no service of this namespace is called "${pattern}"`;
      const remedy = near && `did you mean "${near}"?`;
      report(role, warning(`spec.rules[${index}].services[${position}]`, message, remedy));
    }
  }
}
