import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { Service } from '#model/service.ts';
import { hostCovers, narrowerFirst, resolveHost } from '#policy/tls/host-match.ts';

/** Who calls: rules may be for callers of a namespace, or for single workloads in it. */
export interface RuleClient {
  readonly namespace: string;
  readonly labels: Labels;
}

/** Settings that the choice of a rule depends on. */
export type RuleSettings = Pick<MeshSettings, 'clusterDomain' | 'rootNamespace'>;

interface Candidate {
  readonly host: string;
  readonly rule: DestinationRule;
}

/**
 * The DestinationRule objects as one client sees them. Of the rules that cover a service, those in
 * the client's own namespace come first, then those in the service's, then those in the root
 * namespace; within a namespace the narrower host wins, then a rule that selects the client by
 * label, then the oldest (Istio, "DestinationRule").
 */
export class ClientRules {
  readonly #rules: NamespacedObjects<DestinationRule>;
  readonly #client: RuleClient;
  readonly #settings: RuleSettings;
  readonly #candidates = new Map<string, readonly Candidate[]>();

  constructor(
    rules: NamespacedObjects<DestinationRule>,
    client: RuleClient,
    settings: RuleSettings,
  ) {
    this.#rules = rules;
    this.#client = client;
    this.#settings = settings;
  }

  /** The rule for calls to a service; undefined when there is none. */
  ruleFor(service: Service): DestinationRule | undefined {
    const places = [this.#client.namespace, service.namespace, this.#settings.rootNamespace];
    for (const namespace of new Set(places)) {
      const found = this.#candidatesIn(namespace).find(({ host }) =>
        hostCovers(host, service.host),
      );
      if (found) return found.rule;
    }
    return undefined;
  }

  #candidatesIn(namespace: string): readonly Candidate[] {
    let candidates = this.#candidates.get(namespace);
    if (!candidates) {
      candidates = this.#rules
        .in(namespace)
        .filter((rule) => this.#isForClient(rule, namespace))
        .map((rule) => ({
          host: resolveHost(rule.spec.host, namespace, this.#settings.clusterDomain),
          rule,
        }))
        .sort((a, b) => narrowerFirst(a.host, b.host) || selectingFirst(a.rule, b.rule));
      this.#candidates.set(namespace, candidates);
    }
    return candidates;
  }

  #isForClient(rule: DestinationRule, namespace: string): boolean {
    const { exportTo = [], workloadSelector } = rule.spec;
    const own = namespace === this.#client.namespace;
    if (workloadSelector?.matchLabels)
      return own && labelsMatch(workloadSelector.matchLabels, this.#client.labels);
    if (own || exportTo.length === 0) return true;
    return exportTo.includes('*') || exportTo.includes(this.#client.namespace);
  }
}

function selectingFirst(a: DestinationRule, b: DestinationRule): number {
  return Number(!a.spec.workloadSelector) - Number(!b.spec.workloadSelector);
}

/**
 * Tells clients apart that see different rules: two clients with the same answer see the same rules
 * in the same order. Most namespaces hold no rule of their own and share the answer ''.
 */
export function ruleScope(rules: NamespacedObjects<DestinationRule>, client: RuleClient): string {
  const own = rules.in(client.namespace);
  const selected = own
    .filter(({ spec }) => labelsMatch(spec.workloadSelector?.matchLabels ?? {}, client.labels))
    .map(({ metadata }) => metadata.name);
  if (own.length === 0 && !hasPrivateRules(rules)) return '';
  return JSON.stringify([client.namespace, selected]);
}

const privateRules = new WeakMap<NamespacedObjects<DestinationRule>, boolean>();

/** Whether any rule is not for everybody; found out once for a set of rules. */
function hasPrivateRules(rules: NamespacedObjects<DestinationRule>): boolean {
  let found = privateRules.get(rules);
  if (found === undefined) {
    found = rules.all().some(({ spec }) => spec.exportTo && !spec.exportTo.includes('*'));
    privateRules.set(rules, found);
  }
  return found;
}
