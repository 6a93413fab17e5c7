import type { Diagnostic } from '#api/diagnostic.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { MixerRule } from '#api/kinds/mixer-rule.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { Workload } from '#model/workload.ts';
import { compileAuthorizationPolicy } from '#policy/authz/compile.ts';
import type { AuthzContext, CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import {
  type CustomCheck,
  type CustomPolicies,
  type CustomTraffic,
  customTraffic,
} from '#policy/authz/custom-checks.ts';
import { MixerFinder, type MixerSources } from '#policy/authz/mixer/mixer-finder.ts';
import { type ProviderState, Providers } from '#policy/authz/providers.ts';
import { RoleFinder, type RoleSources } from '#policy/authz/roles/role-finder.ts';
import { HARDENING } from '#policy/hardening.ts';
import { SharedByList } from '#policy/shared-by-list.ts';
import { isReferenced } from '#policy/target-references.ts';

/** Rules of one action in the order in which Envoy tries them (by name). */
export interface RuleSet {
  /**
   * Undefined when no policy of the action selects the workload; empty when those that do can match
   * nothing.
   */
  readonly enforced: readonly CompiledRule[] | undefined;
  /** The same of policies in dry run. */
  readonly dryRun: readonly CompiledRule[] | undefined;
}

/**
 * What is enforced on one kind of traffic. Rules of CUSTOM policies whose provider cannot be asked
 * are among those of `deny`: fail closed.
 */
export interface TrafficRules {
  /** What providers are asked about, before anything else is decided. */
  readonly custom: readonly CustomCheck[];
  readonly deny: RuleSet;
  readonly allow: RuleSet;
  readonly audit: RuleSet;
}

/** All authorization of one workload. The same set of policies gives the same object. Immutable. */
export interface WorkloadAuthorization {
  /**
   * Those of the root namespace first, each group sorted by name; of roles their configuration
   * first.
   */
  readonly policies: readonly CompiledPolicy[];
  readonly http: TrafficRules;
  readonly tcp: TrafficRules;
}

/** The parts of a snapshot that authorization comes from. */
export interface AuthzSources extends RoleSources, MixerSources {
  readonly authorizationPolicies: NamespacedObjects<AuthorizationPolicy>;
}

/**
 * Compiles policies and selects them for workloads. It remembers results by the identity of objects
 * and forgets them with those; it has no other state, so any two of one context give the same
 * answers.
 */
export class Authorizer {
  readonly #context: AuthzContext;
  readonly #compiled = new WeakMap<AuthorizationPolicy, CompiledPolicy>();
  readonly #lists = new WeakMap<readonly AuthorizationPolicy[], readonly CompiledPolicy[]>();
  readonly #shared = new SharedByList<CompiledPolicy | ProviderState, WorkloadAuthorization>();
  readonly #roles: RoleFinder;
  readonly #mixer: MixerFinder;
  readonly #providers: Providers;

  constructor(context: AuthzContext) {
    this.#context = context;
    this.#roles = new RoleFinder(context);
    this.#mixer = new MixerFinder(context);
    this.#providers = new Providers(context.extensionProviders ?? []);
  }

  /** The compiled form of one policy; the same object for the same policy. */
  compile(policy: AuthorizationPolicy): CompiledPolicy {
    const known = this.#compiled.get(policy);
    if (known !== undefined) return known;
    const compiled = compileAuthorizationPolicy(policy, this.#context);
    this.#compiled.set(policy, compiled);
    return compiled;
  }

  /**
   * All that is enforced on a workload: policies of its namespace and of the root namespace that
   * select it; where there are none, what roles say of it; and what rules of Mixer deny. Workloads
   * with the same policies get the same object, also after other policies changed.
   */
  authorizationFor(workload: Workload, sources: AuthzSources): WorkloadAuthorization {
    const { rootNamespace } = this.#context;
    const namespaces = new Set([rootNamespace, workload.namespace]);
    const selecting = [...namespaces]
      .flatMap((namespace) => this.#compileAll(sources.authorizationPolicies.in(namespace)))
      .filter((policy) => selects(policy, workload, rootNamespace));
    const granting = selecting.length > 0 ? selecting : this.#roles.policiesFor(workload, sources);
    const policies = [...granting, ...this.#mixer.policiesFor(workload, sources)];
    const custom = this.#customOf(policies, workload, sources);
    const states = custom.map(({ state }) => state);
    const { customProvidersAreIndependent: independent } = HARDENING[this.#context.hardening];
    const rulesOf = (traffic: 'http' | 'tcp') =>
      trafficRules(policies, traffic, customTraffic(custom, traffic, independent));
    return this.#shared.get([...policies, ...states], () => ({
      policies,
      http: rulesOf('http'),
      tcp: rulesOf('tcp'),
    }));
  }

  /** What is wrong with a rule of Mixer, as far as the mesh is known. */
  diagnosticsOf(rule: MixerRule, sources: AuthzSources): readonly Diagnostic[] {
    return this.#mixer.diagnosticsOf(rule, sources);
  }

  /** Why the provider of a CUSTOM policy cannot be asked by workloads of a namespace. */
  providerState(name: string, namespace: string, sources: Pick<AuthzSources, 'services'>) {
    return this.#providers.stateOf(name, sources.services.viewOf(namespace));
  }

  #customOf(
    policies: readonly CompiledPolicy[],
    workload: Workload,
    sources: AuthzSources,
  ): CustomPolicies {
    return policies.flatMap((policy) => {
      if (policy.provider === undefined || policy.dryRun) return [];
      return [{ policy, state: this.providerState(policy.provider, workload.namespace, sources) }];
    });
  }

  #compileAll(policies: readonly AuthorizationPolicy[]): readonly CompiledPolicy[] {
    const known = this.#lists.get(policies);
    if (known !== undefined) return known;
    const compiled = policies.map((policy) => this.compile(policy)).sort(byName);
    this.#lists.set(policies, compiled);
    return compiled;
  }
}

function selects(policy: CompiledPolicy, workload: Workload, rootNamespace: string): boolean {
  const { target, namespace } = policy;
  if (target.kind === 'references')
    return isReferenced(target.references, workload, {
      namespace,
      isRoot: namespace === rootNamespace,
    });
  return Object.entries(target.labels).every(([label, value]) => workload.labels[label] === value);
}

function trafficRules(
  policies: readonly CompiledPolicy[],
  traffic: 'http' | 'tcp',
  { checks, denied }: CustomTraffic,
): TrafficRules {
  const rulesOf = (wanted: CompiledPolicy['action']): RuleSet => {
    const ofAction = policies.filter(({ action }) => action === wanted);
    const rules = (dryRun: boolean) => {
      const chosen = ofAction.filter((policy) => policy.dryRun === dryRun);
      if (chosen.length === 0) return undefined;
      return chosen.flatMap((policy) => policy[traffic]).sort(byName);
    };
    return { enforced: rules(false), dryRun: rules(true) };
  };
  const deny = rulesOf('DENY');
  const enforced =
    denied.length === 0 ? deny.enforced : [...(deny.enforced ?? []), ...denied].sort(byName);
  return {
    custom: checks,
    deny: { ...deny, enforced },
    allow: rulesOf('ALLOW'),
    audit: rulesOf('AUDIT'),
  };
}

/** By code unit, as Envoy's sorted map of policies has it. */
function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
