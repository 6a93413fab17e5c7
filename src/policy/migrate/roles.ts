import { isDeepStrictEqual } from 'node:util';
import { invalid } from '#api/field-error.ts';
import type { AuthorizationRule } from '#api/kinds/authorization-policy.ts';
import type { AccessRule } from '#api/kinds/service-role.ts';
import type { ServiceRoleBinding } from '#api/kinds/service-role-binding.ts';
import type { ApiObject } from '#api/object.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { Workload } from '#model/workload.ts';
import { type PrincipalBinding, TokenPolicies } from '#policy/authn/jwt.ts';
import { type RbacMode, rbacModeOf } from '#policy/authz/roles/rbac-mode.ts';
import { roleOf, servicesWithoutRoles } from '#policy/authz/roles/role-finder.ts';
import { portsOfRule, type RulePorts, roleTargetOf } from '#policy/authz/roles/role-target.ts';
import { parseTextMatch, textMatches } from '#policy/authz/text-match.ts';
import type { Draft } from '#policy/migrate/draft.ts';
import { policyRules } from '#policy/migrate/role-rules.ts';
import {
  areCompatible,
  distinct,
  selectorsIn,
  workloadWith,
} from '#policy/migrate/workload-shape.ts';

/** A namespace that nobody speaks of: what holds there holds for the mesh. */
const ANY_NAMESPACE = 'any-other-namespace';
const REHEARSAL = { 'istio.io/dry-run': 'true' };
/** Lets everybody in. */
const EVERYBODY = { rules: [{}] };
const NOBODY = {};

/**
 * Makes AuthorizationPolicy objects of RbacConfig, ServiceRole and ServiceRoleBinding: those that
 * let nobody in where a role is needed, and one for each binding and selector.
 */
export function migrateRoles(draft: Draft): void {
  const { mesh } = draft;
  const mode = rbacModeOf(mesh, mesh.settings.rootNamespace);
  // Without a configuration that is on, roles meant nothing.
  if (mode === undefined) return;
  checkConfig(mode, draft);
  const { inclusion, exclusion } = mode.config.spec ?? {};
  const namespaces = new Set([
    ...mesh.services.all().map(({ namespace }) => namespace),
    ...mesh.serviceRoleBindings.namespaces(),
    ...(inclusion?.namespaces ?? []),
    ...(exclusion?.namespaces ?? []),
  ]);
  const isOnInMesh = stateOf(ANY_NAMESPACE, {}, mode, draft) === 'on';
  if (isOnInMesh) addState(mesh.settings.rootNamespace, undefined, NOBODY, mode, draft);
  for (const namespace of [...namespaces].sort()) {
    const isOn = stateOf(namespace, {}, mode, draft) === 'on';
    if (isOn !== isOnInMesh) addState(namespace, undefined, isOn ? NOBODY : EVERYBODY, mode, draft);
    for (const labels of selectorsIn(namespace, mesh, [])) {
      const state = stateOf(namespace, labels, mode, draft);
      const ofSelector = state === 'off' ? EVERYBODY : state === 'on' ? NOBODY : state;
      const isSame = state === (isOn ? 'on' : 'off');
      if (!isSame) addState(namespace, labels, ofSelector, mode, draft);
    }
  }
  for (const binding of mesh.serviceRoleBindings.all()) migrateBinding(binding, mode, draft);
}

/** Whether callers of workloads need a role; where only on some ports, what lets in on others. */
function stateOf(namespace: string, labels: Labels, mode: RbacMode, { mesh }: Draft) {
  const target = roleTargetOf(workloadWith(labels, namespace, mesh), mesh.services);
  const off = servicesWithoutRoles(target, mode);
  if (off === 'all') return 'off';
  if (off.length === 0) return 'on';
  return { rules: [{ to: [{ operation: { ports: off.map(String) } }] }] };
}

function addState(
  namespace: string,
  labels: Labels | undefined,
  spec: object,
  { config, isPermissive }: RbacMode,
  draft: Draft,
): void {
  const name = spec === NOBODY ? 'allow-nobody' : 'allow-without-role';
  const annotations = isPermissive ? { annotations: REHEARSAL } : {};
  draft.add({ kind: 'AuthorizationPolicy', namespace, name, labels, spec, ...annotations }, [
    config,
  ]);
}

function migrateBinding(binding: ServiceRoleBinding, mode: RbacMode, draft: Draft): void {
  const { mesh } = draft;
  const { namespace = '', name } = binding.metadata;
  const { actions, subjects = [] } = binding.spec ?? {};
  const role =
    actions === undefined ? roleOf(binding, mesh, mesh.settings.rootNamespace) : undefined;
  if (actions === undefined && role === undefined)
    draft.reportMissing(binding, 'spec', 'ServiceRole');
  const rules = actions ?? role?.spec?.rules ?? [];
  const from: readonly ApiObject[] = role === undefined ? [binding] : [binding, role];
  const isPermissive = mode.isPermissive || binding.spec?.mode === 'PERMISSIVE';
  const accounts = `${mesh.settings.trustDomain}/ns/${namespace}/sa/`;
  const found = rules.flatMap((rule, index) => {
    const field = actions === undefined ? 'rules' : 'actions';
    const at = `spec.${field}[${index}]`;
    checkRule({ rule, field: at, object: role ?? binding, namespace }, draft);
    return placesOf(rule, namespace, draft).map(({ labels, ...place }) => ({
      labels,
      rules: policyRules({ subjects, rule, accounts, ...place }),
    }));
  });
  for (const labels of [
    undefined,
    ...distinct(found.map((one) => one.labels).filter((labels) => labels !== undefined)),
  ]) {
    const here: readonly AuthorizationRule[] = found
      .filter((one) => isDeepStrictEqual(one.labels, labels))
      .flatMap((one) => one.rules);
    if (here.length === 0) continue;
    const annotations = isPermissive ? { annotations: REHEARSAL } : {};
    const spec = { rules: here };
    draft.add({ kind: 'AuthorizationPolicy', namespace, name, labels, spec, ...annotations }, from);
  }
}

/** Where a rule of a role counts. */
interface Place {
  /** Undefined = for every workload of the namespace. */
  readonly labels: Labels | undefined;
  readonly ports: RulePorts;
  /** On which not, where it counts on all. */
  readonly notPorts: readonly number[];
  readonly principals: PrincipalBinding;
}

function placesOf(rule: AccessRule, namespace: string, draft: Draft): readonly Place[] {
  const { mesh } = draft;
  const selectors = [{}, ...selectorsIn(namespace, mesh, [])];
  const asked = labelsAsked(rule);
  const all = distinct(
    selectors.flatMap((labels) =>
      asked.filter((one) => areCompatible(labels, one)).map((one) => ({ ...labels, ...one })),
    ),
  );
  const places = all.flatMap((labels) => {
    const workload = workloadWith(labels, namespace, mesh);
    const ports = portsOfRule(rule, roleTargetOf(workload, mesh.services));
    if (ports === undefined) return [];
    return byPrincipals(workload, ports, draft).map((part) => ({ labels, ...part }));
  });
  // A selector inside of another one that says the same adds nothing.
  const least = places.filter(
    (one) =>
      !places.some(
        (other) =>
          other !== one &&
          labelsMatch(other.labels, one.labels) &&
          isDeepStrictEqual({ ...other, labels: {} }, { ...one, labels: {} }),
      ),
  );
  return least.map(({ labels, ...rest }) => ({
    labels: Object.keys(labels).length === 0 ? undefined : labels,
    ...rest,
  }));
}

const LABEL = /^destination\.labels\[([^[\]]+)\]$/;

/** The labels that a rule asks of a workload, in every combination. */
function labelsAsked({ constraints = [] }: AccessRule): readonly Labels[] {
  return constraints.reduce<readonly Labels[]>(
    (sets, { key, values = [] }) => {
      const label = LABEL.exec(key)?.[1];
      if (label === undefined) return sets;
      return sets.flatMap((labels) => values.map((value) => ({ ...labels, [label]: value })));
    },
    [{}],
  );
}

/** Ports apart by whose identity principals are about: the peer's, or the end user's. */
function byPrincipals(workload: Workload, ports: RulePorts, { mesh }: Draft) {
  const tokens = new TokenPolicies(mesh.settings).tokensFor(workload, mesh);
  const common = tokens.common.binding;
  const own = [...tokens.ports].filter(([, { binding }]) => binding !== common);
  const numbers = own.map(([port]) => port).sort((a, b) => a - b);
  const others: PrincipalBinding = common === 'peer' ? 'origin' : 'peer';
  const all = ports === 'all';
  const parts = [
    {
      ports: all ? ports : ports.filter((port) => !numbers.includes(port)),
      notPorts: all ? numbers : [],
      principals: common,
    },
    {
      ports: all ? numbers : ports.filter((port) => numbers.includes(port)),
      notPorts: [],
      principals: others,
    },
  ];
  return parts.filter((part) => part.ports.length > 0);
}

/** A rule of a role, and where it is written. */
interface WrittenRule {
  readonly rule: AccessRule;
  readonly field: string;
  /** The role, or the binding itself. */
  readonly object: ApiObject;
  /** Of the binding: its services are meant. */
  readonly namespace: string;
}

/** Tells what a rule says that no selector can say, and of services that are not there. */
function checkRule({ rule, field, object, namespace }: WrittenRule, draft: Draft): void {
  const names = draft.mesh.services.in(namespace).flatMap(({ host }) => [host, shortName(host)]);
  for (const [index, name] of (rule.services ?? []).entries()) {
    const match = parseTextMatch(name);
    const isThere = match.match === 'present' || names.some((one) => textMatches(match, one));
    if (!isThere) draft.reportMissing(object, `${field}.services[${index}]`, 'Service');
  }
  for (const [index, { key, values = [] }] of (rule.constraints ?? []).entries()) {
    const at = `${field}.constraints[${index}]`;
    if (key === 'destination.user') {
      const detail = 'a policy selects workloads by their labels, not by their accounts';
      draft.report(object, invalid(`${at}.key`, key, detail));
    }
    const pattern = values.find((value) => value.startsWith('*') || value.endsWith('*'));
    if (LABEL.test(key) && pattern !== undefined) {
      const detail = 'selectors compare labels with whole values';
      draft.report(object, invalid(`${at}.values`, pattern, detail));
    }
  }
}

/** The services that are named where roles are needed, or not. */
function checkConfig({ config }: RbacMode, draft: Draft): void {
  const hosts = new Set(draft.mesh.services.all().map(({ host }) => host));
  for (const field of ['inclusion', 'exclusion'] as const) {
    for (const [index, host] of (config.spec?.[field]?.services ?? []).entries()) {
      if (hosts.has(host)) continue;
      draft.reportMissing(config, `spec.${field}.services[${index}]`, 'Service');
    }
  }
}

function shortName(host: string): string {
  return host.split('.', 1)[0] ?? '';
}
