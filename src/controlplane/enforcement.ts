import { isDeepStrictEqual } from 'node:util';
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { KnownLabels } from '#controlplane/known-labels.ts';
import { type Demand, type ProxyStand, standOf } from '#controlplane/proxy-stand.ts';
import { selectorOf } from '#controlplane/selecting.ts';
import { type Behind, firstOf, mostUrgent, NOBODY, type Verdict } from '#controlplane/verdict.ts';
import { workloadOfProxy } from '#model/registration.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { hostCovers, resolveHost } from '#policy/tls/host-match.ts';
import { servedWorkload } from '#xds/generate/inbound-builder.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { Refusal } from '#xds/serve/acceptance.ts';
import type { ProxyProgress } from '#xds/serve/proxy-status.ts';
import { workloadKey } from '#xds/serve/trust-peers.ts';

/** What enforcement is told of. */
export interface EnforcementSource {
  readonly mesh: () => MeshSnapshot;
  /** The objects that decide about a workload; the same list for the same objects. */
  readonly objectsOf: (workload: Workload) => readonly ApiObject[];
  /** The first version of the mesh with an object as it is. */
  readonly versionOf: (object: ApiObject) => number;
  readonly progress: () => readonly ProxyProgress[];
}

/** A connected proxy. */
interface Subject {
  readonly name: string;
  readonly node: ProxyNode;
  /** The version of the mesh since which its workload has its labels. */
  readonly since: number;
}

/** The labels of a workload, and the version of the mesh since which it has them. */
interface LabelledSince extends Pick<Workload, 'labels'> {
  readonly since: number;
}

/** Workloads about which the same objects decide. */
interface Group {
  readonly objects: readonly ApiObject[];
  readonly proxies: Subject[];
  readonly away: string[];
}

/** An object with all about whom it decides. */
interface Decided {
  readonly object: ApiObject;
  readonly groups: Group[];
}

/** How far the proxies of a group are together. */
interface GroupStand {
  /** Of the mesh, in force in all of them. */
  readonly version: number;
  /** Whether that says it all: none refuses anything, or has new labels. */
  readonly isPlain: boolean;
}

/**
 * Tells how far objects are in force in the proxies of the workloads about which they decide.
 * Proxies about which the same objects decide are looked at together, so the work of a look grows
 * with objects and proxies, not with their product.
 */
export class Enforcement {
  readonly #source: EnforcementSource;
  #mesh: MeshSnapshot | undefined;
  /** The version of the mesh since which its settings, which every policy depends on, are so. */
  #settingsSince = -1;
  #nodes: readonly ProxyNode[] = [];
  #since: ReadonlyMap<string, LabelledSince> = new Map();
  #decided: ReadonlyMap<string, Decided> = new Map();
  #known = new KnownLabels();
  #progress: ReadonlyMap<ProxyNode, ProxyProgress> = new Map();
  #stands = new Map<string, Map<ProxyNode, ProxyStand>>();
  #groupStands = new Map<Group, Map<Demand, GroupStand>>();

  constructor(source: EnforcementSource) {
    this.#source = source;
  }

  /** Takes in how things are now; what is asked afterwards is of this moment. */
  look(): void {
    const progress = lastOfEach(this.#source.progress());
    const mesh = this.#source.mesh();
    const nodes = progress.map(({ node }) => node);
    const isSame =
      mesh === this.#mesh &&
      nodes.length === this.#nodes.length &&
      nodes.every((node, index) => node === this.#nodes[index]);
    this.#progress = new Map(progress.map((one) => [one.node, one]));
    this.#stands = new Map();
    this.#groupStands = new Map();
    if (isSame) return;
    if (this.#mesh && mesh.settings !== this.#mesh.settings) this.#settingsSince = mesh.version;
    this.#mesh = mesh;
    this.#nodes = nodes;
    this.#regroup(mesh);
  }

  /** How far an object is in force. A mesh that changed since the last look is looked at again. */
  verdictOf(object: ApiObject): Verdict {
    if (this.#source.mesh() !== this.#mesh) this.look();
    const decided = this.#decided.get(enforcementKey(object));
    if (!decided) {
      const { generation } = object.metadata;
      const nothing = { proxies: 0, enforcing: 0, behind: [] };
      const near = this.#labelsNear(object);
      return { generation, workloads: NOBODY, away: NOBODY, near, ...nothing };
    }
    const { groups } = decided;
    const proxies = groups.reduce((sum, group) => sum + group.proxies.length, 0);
    const behind = this.#behind(decided);
    return {
      generation: decided.object.metadata.generation,
      workloads: firstOf(
        groups.map((group) => [...group.proxies.map(({ name }) => name), ...group.away]),
      ),
      near: [],
      away: firstOf(groups.map(({ away }) => away)),
      proxies,
      enforcing: proxies - behind.count,
      behind: behind.first,
    };
  }

  #regroup(mesh: MeshSnapshot): void {
    const groups = new Map<readonly ApiObject[], Group>();
    const groupOf = (workload: Workload): Group => {
      const objects = this.#source.objectsOf(workload);
      const group = groups.get(objects) ?? { objects, proxies: [], away: [] };
      groups.set(objects, group);
      return group;
    };
    const served = new Set<Workload>();
    const known = new KnownLabels();
    const since = new Map<string, LabelledSince>();
    for (const node of this.#nodes) {
      const entry = workloadOfProxy(node, mesh);
      if (entry) served.add(entry);
      const workload = servedWorkload(node, mesh);
      const key = workloadKey(node);
      const before = this.#since.get(key);
      const isSame = before !== undefined && isDeepStrictEqual(before.labels, workload.labels);
      const labelled = isSame ? before : { labels: workload.labels, since: mesh.version };
      since.set(key, labelled);
      known.add(workload.namespace, workload.labels);
      const name = `${node.workloadName}.${node.namespace}`;
      groupOf(workload).proxies.push({ name, node, since: labelled.since });
    }
    this.#since = since;
    this.#known = known;
    for (const namespace of mesh.workloads.namespaces()) {
      for (const workload of mesh.workloads.in(namespace)) {
        known.add(namespace, workload.labels);
        if (!served.has(workload)) groupOf(workload).away.push(`${workload.name}.${namespace}`);
      }
    }
    const decided = new Map<string, Decided>();
    for (const group of groups.values()) {
      for (const object of group.objects) {
        const key = enforcementKey(object);
        const other = decided.get(key);
        if (other) other.groups.push(group);
        else decided.set(key, { object, groups: [group] });
      }
    }
    this.#decided = decided;
  }

  #labelsNear(object: ApiObject): readonly string[] {
    const { namespace } = object.metadata;
    const isForAll = namespace === this.#mesh?.settings.rootNamespace;
    return this.#known.near(selectorOf(object), isForAll ? undefined : namespace);
  }

  #behind({ object, groups }: Decided): {
    readonly count: number;
    readonly first: readonly Behind[];
  } {
    const demand = demandOf(object);
    const version = Math.max(this.#source.versionOf(object), this.#settingsSince);
    const first: Behind[] = [];
    for (const group of groups) {
      const common = this.#standOfGroup(group, demand);
      if (common.isPlain && common.version >= version) continue;
      for (const subject of group.proxies) {
        const behind = this.#behindOf(subject, object, Math.max(version, subject.since));
        if (!behind) continue;
        first.push(behind);
      }
    }
    return { count: first.length, first: mostUrgent(first) };
  }

  #behindOf({ name, node }: Subject, object: ApiObject, since: number): Behind | undefined {
    const { version, refused, failure } = this.#standOf(node, demandOf(object));
    const refusal = refused.find((one) => one.since <= since && this.#concerns(one, object));
    if (refusal) return { proxy: name, why: 'refused', message: refusal.message };
    if (version >= since) return undefined;
    if (failure !== undefined) return { proxy: name, why: 'failed', message: failure };
    return { proxy: name, why: 'waiting', message: '' };
  }

  /** Whether an object goes into what a proxy does not take. */
  #concerns({ name }: Refusal, object: ApiObject): boolean {
    if (demandOf(object) !== 'clients') return true;
    const { spec, metadata } = object as DestinationRule;
    const clusterDomain = this.#mesh?.settings.clusterDomain ?? '';
    const host = resolveHost(spec.host, metadata.namespace ?? '', clusterDomain);
    return hostCovers(host, name.split('|').at(-1) ?? '');
  }

  #standOf(node: ProxyNode, demand: Demand): ProxyStand {
    const stands = this.#stands.get(demand) ?? new Map<ProxyNode, ProxyStand>();
    this.#stands.set(demand, stands);
    const known = stands.get(node);
    if (known) return known;
    const progress = this.#progress.get(node) ?? { node, failure: undefined, types: {} };
    const stand = standOf(progress, demand);
    stands.set(node, stand);
    return stand;
  }

  #standOfGroup(group: Group, demand: Demand): GroupStand {
    const stands = this.#groupStands.get(group) ?? new Map<Demand, GroupStand>();
    this.#groupStands.set(group, stands);
    const known = stands.get(demand);
    if (known) return known;
    let version = Number.MAX_SAFE_INTEGER;
    let isPlain = true;
    for (const { node, since } of group.proxies) {
      const stand = this.#standOf(node, demand);
      version = Math.min(version, stand.version);
      isPlain &&= stand.refused.length === 0 && stand.version >= since;
    }
    const made = { version, isPlain };
    stands.set(demand, made);
    return made;
  }
}

const keys = new WeakMap<ApiObject, string>();

/** Names an object whatever the version of its API. */
export function enforcementKey(object: ApiObject): string {
  const known = keys.get(object);
  if (known !== undefined) return known;
  const { apiVersion, kind, metadata } = object;
  const id = kindOf(apiVersion, kind)?.id ?? kind;
  const key = `${id}/${metadata.namespace ?? ''}/${metadata.name}`;
  keys.set(object, key);
  return key;
}

function demandOf({ kind }: ApiObject): Demand {
  if (kind === 'DestinationRule') return 'clients';
  return kind === 'PeerAuthentication' ? 'connections' : 'calls';
}

/**
 * Of the streams of one proxy the last: it has come back, and the other is about to end. Proxies
 * are told apart by what their certificates prove, too: an id is a proxy's own word.
 */
function lastOfEach(progress: readonly ProxyProgress[]): readonly ProxyProgress[] {
  return [...new Map(progress.map((one) => [workloadKey(one.node), one])).values()];
}
