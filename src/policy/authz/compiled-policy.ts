import type { Diagnostic } from '#api/diagnostic.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Condition, OperationCondition, SourceCondition } from '#policy/authz/condition.ts';
import type { GatewayReferences } from '#policy/target-references.ts';

/** What the meaning of a policy depends on beside the policy. */
export interface AuthzContext
  extends Pick<MeshSettings, 'trustDomain' | 'rootNamespace' | 'hardening'> {
  /** What policies of action CUSTOM can ask. */
  readonly extensionProviders?: MeshSettings['extensionProviders'];
  /**
   * Former names of the trust domain: a principal of one of them means the same principal of all.
   */
  readonly trustDomainAliases?: readonly string[] | undefined;
}

/** What callers are told whom a policy denies. */
export interface Denial {
  /** Status of HTTP. */
  readonly status: number;
  readonly body: string;
}

/** What a policy does with the requests that its rules match. */
export type AuthzAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/** Conditions that must all hold. An empty clause holds always. */
export type Clause<C extends Condition> = readonly C[];

/**
 * One rule, ready to be enforced: it matches when one of `sources` and one of `operations` holds.
 * Conditions of `when` are part of every clause of their side. With an empty list the rule never
 * matches.
 */
export interface CompiledRule {
  /**
   * Istio's name for it, which Envoy logs and which orders rules: `ns[foo]-policy[bar]-rule[0]`.
   */
  readonly name: string;
  /** The policy's namespace and name, and the rule's place in it. */
  readonly namespace: string;
  readonly policy: string;
  readonly index: number;
  readonly action: AuthzAction;
  readonly sources: readonly Clause<SourceCondition>[];
  readonly operations: readonly Clause<OperationCondition>[];
}

/** Which workloads of its namespace (of the mesh, in the root namespace) a policy is for. */
export type PolicyTarget =
  | { readonly kind: 'labels'; readonly labels: Readonly<Record<string, string>> }
  /** `targetRefs`: gateways. */
  | { readonly kind: 'references'; readonly references: GatewayReferences };

/** The kinds that come to a compiled policy. */
export type PolicyKind =
  | 'AuthorizationPolicy'
  | 'ServiceRoleBinding'
  | 'ClusterRbacConfig'
  | 'RbacConfig'
  /** Of Mixer. */
  | 'rule';

/**
 * A policy, old or new, in the one form that enforcement, the evaluator and the analyzers read.
 * Immutable.
 */
export interface CompiledPolicy {
  readonly kind: PolicyKind;
  readonly namespace: string;
  readonly name: string;
  readonly action: AuthzAction;
  /** Who is asked about what its rules match; undefined for all actions but CUSTOM. */
  readonly provider: string | undefined;
  /** Annotated `istio.io/dry-run: "true"`: its verdict is reported and not enforced. */
  readonly dryRun: boolean;
  readonly target: PolicyTarget;
  /** What callers are told whom it denies, where that is something of its own. */
  readonly denial?: Denial | undefined;
  /** Rules for requests whose HTTP fields are known. */
  readonly http: readonly CompiledRule[];
  /**
   * Rules for plain connections: without HTTP an ALLOW rule that needs it is gone, any other is
   * wider.
   */
  readonly tcp: readonly CompiledRule[];
  /** What is wrong with it whatever the workload. */
  readonly diagnostics: readonly Diagnostic[];
  /** What is different on the ports of a selected workload that are not HTTP. */
  readonly tcpDiagnostics: readonly Diagnostic[];
}
