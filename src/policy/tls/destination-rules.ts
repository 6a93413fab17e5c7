import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { TrafficPolicy } from '#api/kinds/traffic-policy.ts';
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

/** A traffic policy, and the object that it was written in. */
export interface WrittenPolicy {
  readonly policy: TrafficPolicy | undefined;
  readonly from: DestinationRule;
}

/** A named part of the endpoints of a service. */
export interface ClientSubset extends WrittenPolicy {
  readonly name: string;
  /** Labels that an endpoint of the subset has. */
  readonly labels: Labels;
}

/**
 * What a client goes by in its calls to a service: the objects of one namespace for one host, put
 * together.
 */
export interface ClientRule extends WrittenPolicy {
  readonly subsets: readonly ClientSubset[];
  /** Whether an object among them is for this client by its labels. */
  readonly selectsClient: boolean;
}

interface Candidate {
  readonly host: string;
  readonly rule: ClientRule;
}

/**
 * The DestinationRule objects as one client sees them. Of the rules that cover a service, those in
 * the client's own namespace come first, then those in the service's, then those in the root
 * namespace; within a namespace the narrower host wins. Several objects for one host count as one:
 * an object that selects the client by label comes before those for everybody, then the oldest
 * first; the first traffic policy counts, and of each name the first subset (Istio,
 * "DestinationRule").
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
  ruleFor(service: Service): ClientRule | undefined {
    const { rootNamespace } = this.#settings;
    const own = this.#client.namespace;
    // Rules of the root namespace are for everybody: clients that happen to be there take them last
    // too, but for those that nobody else sees.
    const places =
      own === rootNamespace
        ? [this.#privateCandidates(own), this.#candidatesIn(service.namespace)]
        : [this.#candidatesIn(own), this.#candidatesIn(service.namespace)];
    for (const candidates of [...places, this.#candidatesIn(rootNamespace)]) {
      const found = candidates.find(({ host }) => hostCovers(host, service.host));
      if (found) return found.rule;
    }
    return undefined;
  }

  #candidatesIn(namespace: string): readonly Candidate[] {
    return this.#remember(namespace, () => this.#rules.in(namespace), namespace);
  }

  #privateCandidates(namespace: string): readonly Candidate[] {
    const find = () =>
      this.#rules.in(namespace).filter(({ spec: { exportTo = [] } }) => {
        const [only] = exportTo;
        return exportTo.length === 1 && (only === '.' || only === namespace);
      });
    return this.#remember(`private ${namespace}`, find, namespace);
  }

  #remember(
    key: string,
    find: () => readonly DestinationRule[],
    namespace: string,
  ): readonly Candidate[] {
    let candidates = this.#candidates.get(key);
    if (!candidates) {
      const seen = find().filter((rule) => isForClient(rule, this.#client));
      candidates = this.#candidatesOf(seen, namespace);
      this.#candidates.set(key, candidates);
    }
    return candidates;
  }

  #candidatesOf(seen: readonly DestinationRule[], namespace: string): readonly Candidate[] {
    const { clusterDomain } = this.#settings;
    const byHost = Map.groupBy(seen, (rule) =>
      resolveHost(rule.spec.host, namespace, clusterDomain),
    );
    return [...byHost]
      .flatMap(([host, rules]) => {
        const rule = putTogether(rules);
        return rule ? [{ host, rule }] : [];
      })
      .sort((a, b) => narrowerFirst(a.host, b.host));
  }
}

function isForClient({ spec, metadata }: DestinationRule, client: RuleClient): boolean {
  const { exportTo = [], workloadSelector } = spec;
  const own = metadata.namespace === client.namespace;
  if (workloadSelector?.matchLabels)
    return own && labelsMatch(workloadSelector.matchLabels, client.labels);
  if (own || exportTo.length === 0) return true;
  return exportTo.includes('*') || exportTo.includes(client.namespace);
}

/** `rules`, oldest first, are for one host, and all for the client. */
function putTogether(rules: readonly DestinationRule[]): ClientRule | undefined {
  const selecting = rules.filter(selectsByLabel);
  const ordered = [...selecting, ...rules.filter((rule) => !selectsByLabel(rule))];
  const [first] = ordered;
  if (!first) return undefined;
  const withPolicy = ordered.find(({ spec }) => spec.trafficPolicy) ?? first;
  const subsets = new Map<string, ClientSubset>();
  for (const from of ordered) {
    for (const { name, labels = {}, trafficPolicy } of from.spec.subsets ?? []) {
      if (!subsets.has(name)) subsets.set(name, { name, labels, policy: trafficPolicy, from });
    }
  }
  return {
    policy: withPolicy.spec.trafficPolicy,
    from: withPolicy,
    subsets: [...subsets.values()],
    selectsClient: selecting.length > 0,
  };
}

function selectsByLabel({ spec }: DestinationRule): boolean {
  return Object.keys(spec.workloadSelector?.matchLabels ?? {}).length > 0;
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

/** The rules that a client sees, whatever host they are for. */
export function rulesSeenBy(
  rules: NamespacedObjects<DestinationRule>,
  client: RuleClient,
): readonly DestinationRule[] {
  return rules.all().filter((rule) => isForClient(rule, client));
}

/**
 * The Secrets that rules name for a client (credentialName), sorted: whether they are there decides
 * how it connects.
 */
export function credentialNames(
  rules: NamespacedObjects<DestinationRule>,
  client: RuleClient,
): readonly string[] {
  const names = rules
    .in(client.namespace)
    .filter((rule) => selectsByLabel(rule))
    .filter(({ spec }) => labelsMatch(spec.workloadSelector?.matchLabels ?? {}, client.labels))
    .flatMap(credentialsOf);
  return [...new Set(names)].sort();
}

/** The Secrets that a rule names. */
export function credentialsOf({ spec }: DestinationRule): readonly string[] {
  return [spec, ...(spec.subsets ?? [])]
    .flatMap(({ trafficPolicy: policy }) => [policy, ...(policy?.portLevelSettings ?? [])])
    .flatMap((settings) => settings?.tls?.credentialName || []);
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
