import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';

/** Rules of one action in the order in which Envoy tries them (by name). */
export interface RuleSet {
  /** Undefined when no policy of the action selects the workload; empty when those that do can match nothing. */
  readonly enforced: readonly CompiledRule[] | undefined;
  /** The same of policies in dry run. */
  readonly dryRun: readonly CompiledRule[] | undefined;
}

/**
 * What is enforced on one kind of traffic. Rules of CUSTOM policies are among those of `deny` while nobody is asked
 * about them: fail closed.
 */
export interface TrafficRules {
  readonly deny: RuleSet;
  readonly allow: RuleSet;
  readonly audit: RuleSet;
}

/** All authorization of one workload. The same set of policies gives the same object. Immutable. */
export interface WorkloadAuthorization {
  /** Sorted by namespace and name. */
  readonly policies: readonly CompiledPolicy[];
  readonly http: TrafficRules;
  readonly tcp: TrafficRules;
}

/** What the meaning of a policy depends on beside the policy. */
export interface AuthzContext
  extends Pick<MeshSettings, 'trustDomain' | 'rootNamespace' | 'hardening'> {
  /** Former names of the trust domain: a principal of one of them means the same principal of all. */
  readonly trustDomainAliases: readonly string[];
}

/** The workload that policies are selected for. */
export interface AuthorizedWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Compiles policies and selects them for workloads. Remembers by the identity of objects; no other state. */
export interface Authorizer {
  /** The compiled form of one policy; the same object for the same policy. */
  compile(policy: AuthorizationPolicy): CompiledPolicy;
  /** All that is enforced on a workload. Workloads with the same policies get the same object. */
  authorizationFor(
    workload: AuthorizedWorkload,
    policies: NamespacedObjects<AuthorizationPolicy>,
  ): WorkloadAuthorization;
}
