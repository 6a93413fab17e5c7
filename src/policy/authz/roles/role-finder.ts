import type { Diagnostic } from '#api/diagnostic.ts';
import type { RbacConfig } from '#api/kinds/rbac-config.ts';
import type { AccessRule, ServiceRole } from '#api/kinds/service-role.ts';
import type { ServiceRoleBinding } from '#api/kinds/service-role-binding.ts';
import { nearName } from '#api/near-name.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { ServiceIndex } from '#model/service-index.ts';
import type { Workload } from '#model/workload.ts';
import type { AuthzContext, CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import {
  compileBinding,
  type Grant,
  type GrantedRule,
} from '#policy/authz/roles/compile-binding.ts';
import { type RbacConfigs, type RbacMode, rbacModeOf } from '#policy/authz/roles/rbac-mode.ts';
import {
  portsOfRule,
  type RoleService,
  type RoleTarget,
  roleTargetOf,
} from '#policy/authz/roles/role-target.ts';

/** The objects that roles come from. */
export interface RoleSources extends RbacConfigs {
  readonly serviceRoles: NamespacedObjects<ServiceRole>;
  readonly serviceRoleBindings: NamespacedObjects<ServiceRoleBinding>;
  readonly services: ServiceIndex;
}

/** Where the rules of a binding are written. */
interface RulesSource {
  /** The role, or the binding itself. */
  readonly object: object;
  readonly rules: readonly AccessRule[];
  /** What stands before the fields of its rules. */
  readonly at: string;
}

const NONE: readonly CompiledPolicy[] = [];

/**
 * Finds what ClusterRbacConfig, ServiceRole and ServiceRoleBinding mean for workloads, in the form
 * of ALLOW policies (Istio 1.5, "Authorization"). It remembers what it compiled by the identity of
 * the objects, so the same roles give the same policies.
 */
export class RoleFinder {
  readonly #context: AuthzContext;
  readonly #bindings = new WeakMap<
    ServiceRoleBinding,
    WeakMap<object, Map<string, CompiledPolicy>>
  >();
  readonly #configs = new WeakMap<RbacConfig, Map<string, CompiledPolicy>>();

  constructor(context: AuthzContext) {
    this.#context = context;
  }

  /**
   * The policies for a workload: that nobody may call it, and then who may. None where callers need
   * no role.
   */
  policiesFor(workload: Workload, sources: RoleSources): readonly CompiledPolicy[] {
    const mode = rbacModeOf(sources, this.#context.rootNamespace);
    if (mode === undefined) return NONE;
    const target = roleTargetOf(workload, sources.services);
    const off = servicesWithoutRoles(target, mode);
    if (off === 'all') return NONE;
    const bindings = sources.serviceRoleBindings.in(target.namespace);
    return [
      this.#config(mode, off),
      ...bindings.flatMap((binding) => this.#binding(binding, target, mode, sources) ?? []),
    ];
  }

  /** The policy of a binding; undefined when it says nothing of the workload. */
  #binding(
    binding: ServiceRoleBinding,
    target: RoleTarget,
    mode: RbacMode,
    sources: RoleSources,
  ): CompiledPolicy | undefined {
    const isPermissive = mode.isPermissive || binding.spec?.mode === 'PERMISSIVE';
    const source = this.#rulesOf(binding, sources);
    if (source === undefined) {
      const diagnostics = [withoutRole(binding, sources, this.#context.rootNamespace)];
      return this.#compiled(
        { binding, rules: [], isPermissive, diagnostics },
        sources.serviceRoles,
      );
    }
    const granted = source.rules.flatMap((rule, index): GrantedRule[] => {
      const ports = portsOfRule(rule, target);
      return ports ? [{ rule, index, ports, field: `${source.at}[${index}]` }] : [];
    });
    if (granted.length === 0) return undefined;
    const grant = { binding, rules: granted, isPermissive, diagnostics: [] };
    return this.#compiled(grant, source.object);
  }

  /** `source`: what the rules come from; when it changes they are compiled anew. */
  #compiled(grant: Grant, source: object): CompiledPolicy {
    const { binding, rules, isPermissive } = grant;
    const key = `${isPermissive} ${rules.map(({ index, ports }) => `${index}:${ports}`).join(' ')}`;
    const bySource = getOrMake(this.#bindings, binding, () => new WeakMap());
    const byRules = getOrMake(bySource, source, () => new Map<string, CompiledPolicy>());
    return getOrMake(byRules, key, () => compileBinding(grant, this.#context));
  }

  #rulesOf(binding: ServiceRoleBinding, sources: RoleSources): RulesSource | undefined {
    const { actions } = binding.spec ?? {};
    if (actions !== undefined) return { object: binding, rules: actions, at: 'spec.actions' };
    const role = roleOf(binding, sources, this.#context.rootNamespace);
    if (role === undefined) return undefined;
    const { name } = role.metadata;
    return { object: role, rules: role.spec?.rules ?? [], at: `ServiceRole ${name}: spec.rules` };
  }

  /** Refuses everybody who has no role, except on ports of services that need none. */
  #config(mode: RbacMode, off: readonly number[]): CompiledPolicy {
    const byPorts = getOrMake(this.#configs, mode.config, () => new Map<string, CompiledPolicy>());
    return getOrMake(byPorts, off.join(), () => policyOfConfig(mode, off));
  }
}

/** A role that is not there grants nothing, and is most likely misspelt. */
export function withoutRole(
  binding: ServiceRoleBinding,
  { serviceRoles }: RoleSources,
  rootNamespace: string,
): Diagnostic {
  const { namespace, name } = roleNamed(binding, rootNamespace);
  const names = serviceRoles.in(namespace).map(({ metadata }) => metadata.name);
  const near = nearName(name, names);
  return {
    severity: 'error',
    field: binding.spec?.roleRef === undefined ? 'spec.role' : 'spec.roleRef.name',
    message: `there is no ServiceRole ${namespace}/${name}: nobody gets anything`,
    ...(near === undefined ? {} : { remedy: `did you mean "${near}"?` }),
  };
}

function roleNamed(binding: ServiceRoleBinding, rootNamespace: string) {
  const { roleRef, role = '' } = binding.spec ?? {};
  const { namespace = '' } = binding.metadata;
  if (roleRef !== undefined) return { namespace, name: roleRef.name ?? '' };
  if (role.startsWith('/')) return { namespace: rootNamespace, name: role.slice(1) };
  return { namespace, name: role };
}

/** The role that a binding names; undefined when it is not there. */
export function roleOf(
  binding: ServiceRoleBinding,
  { serviceRoles }: RoleSources,
  rootNamespace: string,
): ServiceRole | undefined {
  const { namespace, name } = roleNamed(binding, rootNamespace);
  return serviceRoles.get(namespace, name);
}

/** The workload's ports of services whose callers need no role; `all` when nobody needs one. */
export function servicesWithoutRoles(
  target: RoleTarget,
  mode: RbacMode,
): readonly number[] | 'all' {
  const { namespace, services } = target;
  if (services.length === 0) return mode.isOnFor({ host: '', namespace }) ? [] : 'all';
  const off = services.filter((service: RoleService) => !mode.isOnFor(service));
  if (off.length === services.length) return 'all';
  const on = new Set(services.filter((one) => !off.includes(one)).flatMap(({ ports }) => ports));
  const ports = off.flatMap((service) => service.ports).filter((port) => !on.has(port));
  return [...new Set(ports)].sort((a, b) => a - b);
}

function policyOfConfig({ config, isPermissive }: RbacMode, off: readonly number[]) {
  const { name: policy, namespace = '' } = config.metadata;
  const field = 'spec.mode';
  const rules: CompiledRule[] =
    off.length === 0
      ? []
      : [
          {
            name: `ns[${namespace}]-config[${policy}]-rule[0]`,
            namespace,
            policy,
            index: 0,
            action: 'ALLOW',
            sources: [[]],
            operations: [[{ on: 'port', values: off, notValues: [], field, notField: field }]],
          },
        ];
  const compiled: CompiledPolicy = {
    kind: config.kind === 'RbacConfig' ? 'RbacConfig' : 'ClusterRbacConfig',
    namespace,
    name: policy,
    action: 'ALLOW',
    provider: undefined,
    dryRun: isPermissive,
    target: { kind: 'labels', labels: {} },
    http: rules,
    tcp: rules,
    diagnostics: [],
    tcpDiagnostics: [],
  };
  return compiled;
}

interface Cache<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

function getOrMake<K, V>(cache: Cache<K, V>, key: K, make: () => V): V {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}
