import {
  type CertificateRevocation,
  certificateRevocation,
} from '#api/kinds/certificate-revocation.ts';
import { type Service as ServiceObject, service } from '#api/kinds/service.ts';
import { type ServiceEntry, serviceEntry } from '#api/kinds/service-entry.ts';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import { type WorkloadEntry, workloadEntry } from '#api/kinds/workload-entry.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import type { ServiceEndpoints } from '#model/endpoint.ts';
import { EndpointIndex } from '#model/endpoint-index.ts';
import { findEndpoints, keepEqualParts } from '#model/endpoints.ts';
import { FetchedLists } from '#model/fetched-lists.ts';
import { KeySets } from '#model/key-sets.ts';
import { readKubernetesService } from '#model/kubernetes-service.ts';
import { asItCounts, type MeshChange } from '#model/mesh-change.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { emptyObjectParts, OBJECT_PARTS, type ObjectPart } from '#model/object-parts.ts';
import { ObjectTable } from '#model/object-table.ts';
import { type Revocation, Revocations } from '#model/revocations.ts';
import { EVERY_READER, type SecretReaders } from '#model/secret-readers.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service } from '#model/service.ts';
import { readServiceEntry } from '#model/service-entry.ts';
import { ServiceIndex } from '#model/service-index.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { TrustBundles } from '#model/trust-bundles.ts';
import type { Workload } from '#model/workload.ts';
import { WorkloadIndex } from '#model/workload-index.ts';
import { WorkloadReader } from '#model/workload-reader.ts';

/** The kinds that a model reads; changes of others mean nothing to it. */
export const MODEL_KINDS: readonly KindId[] = [
  ...Object.values(OBJECT_PARTS),
  service.id,
  serviceEntry.id,
  workloadEntry.id,
  certificateRevocation.id,
  trustBundle.id,
];

/** Changes taken in since the last snapshot. */
interface Pending {
  /** Namespaces with changes, by kind. */
  readonly namespaces: Map<KindId, Set<string>>;
  /** WorkloadEntries as they were and as they are, by namespace. */
  readonly entries: Map<string, WorkloadEntry[]>;
}

/**
 * Turns objects into snapshots of the mesh, step by step: `apply` takes changes in, `snapshot`
 * shows the mesh with all of them. The work follows what changed, and so does what is new in the
 * snapshot.
 */
export class MeshModel {
  readonly #settings: MeshSettings;
  readonly #objects = new ObjectTable();
  readonly #reader: WorkloadReader;
  readonly #services = new WeakMap<ApiObject, readonly Service[]>();
  readonly #versions = new WeakMap<ApiObject, number>();
  #endpoints: ReadonlyMap<Service, ServiceEndpoints> = new Map();
  #others: readonly Revocation[] = [];
  #pending: Pending = { namespaces: new Map(), entries: new Map() };
  #snapshot: MeshSnapshot;

  constructor(settings: MeshSettings) {
    this.#settings = settings;
    this.#reader = new WorkloadReader(settings.trustDomain);
    this.#snapshot = {
      version: 0,
      settings,
      services: new ServiceIndex(new Map()),
      endpoints: new EndpointIndex(new Map()),
      workloads: new WorkloadIndex(new Map()),
      ...emptyObjectParts(),
      revocations: Revocations.none(),
      trustBundles: TrustBundles.none(),
      keySets: KeySets.none,
      fetchedLists: FetchedLists.none,
      secretReaders: EVERY_READER,
    };
  }

  /**
   * Takes changes in, in order. Kinds that the model does not read are passed over.
   * @returns whether the next snapshot differs
   */
  apply(changes: Iterable<MeshChange>): boolean {
    let differs = false;
    for (const change of changes) {
      if (!MODEL_KINDS.includes(change.kind)) continue;
      const changed = this.#objects.apply(asItCounts(change));
      if (!changed) continue;
      differs = true;
      if (changed.after) this.#versions.set(changed.after, this.#snapshot.version + 1);
      const namespace = change.object.metadata.namespace ?? '';
      getOrAdd(this.#pending.namespaces, change.kind, () => new Set()).add(namespace);
      if (change.kind !== workloadEntry.id) continue;
      const entries = getOrAdd(this.#pending.entries, namespace, () => []);
      for (const object of [changed.before, changed.after]) {
        if (object) entries.push(object as WorkloadEntry);
      }
    }
    return differs;
  }

  /** The version of the first snapshot with this form of an object; 0 when it is not known. */
  versionOf(object: ApiObject): number {
    return this.#versions.get(object) ?? 0;
  }

  /** Takes in what was fetched from issuers; the same object as before is no change. */
  useKeySets(keySets: KeySets): void {
    const before = this.snapshot();
    if (before.keySets === keySets) return;
    this.#snapshot = { ...before, keySets, version: before.version + 1 };
  }

  /** Takes in what was fetched for listcheckers; the same object as before is no change. */
  useFetchedLists(fetchedLists: FetchedLists): void {
    const before = this.snapshot();
    if (before.fetchedLists === fetchedLists) return;
    this.#snapshot = { ...before, fetchedLists, version: before.version + 1 };
  }

  /** Takes in who may read Secrets; before that, everybody may. */
  useSecretReaders(secretReaders: SecretReaders): void {
    const before = this.snapshot();
    this.#snapshot = { ...before, secretReaders, version: before.version + 1 };
  }

  /** Takes in what other servers revoke; the same list as before is no change. */
  useOtherRevocations(others: readonly Revocation[]): void {
    const areNone = this.#others.length === 0 && others.length === 0;
    if (areNone || this.#others === others) return;
    this.#others = others;
    getOrAdd(this.#pending.namespaces, certificateRevocation.id, () => new Set()).add('');
  }

  /** Takes settings in that may change while the mesh runs; names of its domains may not. */
  useSettings(settings: MeshSettings): void {
    const before = this.snapshot();
    this.#snapshot = { ...before, settings, version: before.version + 1 };
  }

  /** The mesh with every change so far; the same object when nothing changed since. */
  snapshot(): MeshSnapshot {
    if (this.#pending.namespaces.size === 0) return this.#snapshot;
    const before = this.#snapshot;
    const services = this.#nextServices(before.services);
    const workloads = this.#nextWorkloads(before.workloads);
    this.#snapshot = {
      ...before,
      ...this.#nextObjects(before),
      version: before.version + 1,
      services,
      workloads,
      endpoints: this.#nextEndpoints(before.endpoints, services, workloads),
      revocations: this.#nextRevocations(before.revocations),
      trustBundles: this.#nextTrustBundles(before.trustBundles),
    };
    this.#pending = { namespaces: new Map(), entries: new Map() };
    return this.#snapshot;
  }

  #changedNamespaces(...kinds: readonly KindId[]): ReadonlySet<string> {
    return new Set(kinds.flatMap((kind) => [...(this.#pending.namespaces.get(kind) ?? [])]));
  }

  #nextObjects(before: MeshSnapshot): Pick<MeshSnapshot, ObjectPart> {
    const next: Record<ObjectPart, unknown> = { ...before };
    for (const [part, kind] of Object.entries(OBJECT_PARTS) as [ObjectPart, KindId][]) {
      const changed = this.#changedNamespaces(kind);
      if (changed.size === 0) continue;
      const lists = [...changed].map(
        (namespace) => [namespace, this.#objects.in(kind, namespace).values()] as const,
      );
      const index = before[part] as NamespacedObjects<ApiObject>;
      next[part] = index.replace(new Map(lists));
    }
    return next as Pick<MeshSnapshot, ObjectPart>;
  }

  #nextRevocations(before: Revocations): Revocations {
    const { id } = certificateRevocation;
    if (this.#changedNamespaces(id).size === 0) return before;
    const objects = this.#objects.in(id, '').values() as Iterable<CertificateRevocation>;
    return before.next(objects, this.#others);
  }

  #nextTrustBundles(before: TrustBundles): TrustBundles {
    const { id } = trustBundle;
    if (this.#changedNamespaces(id).size === 0) return before;
    const objects = this.#objects.in(id, '').values() as Iterable<TrustBundle>;
    return TrustBundles.of(objects, this.#settings);
  }

  #nextServices(before: ServiceIndex): ServiceIndex {
    const changed = this.#changedNamespaces(service.id, serviceEntry.id);
    if (changed.size === 0) return before;
    const lists = [...changed].map((namespace) => {
      const objects = [
        ...this.#objects.in(service.id, namespace).values(),
        ...this.#objects.in(serviceEntry.id, namespace).values(),
      ];
      const services = objects.flatMap((object) => this.#servicesOf(object));
      return [namespace, services.sort((a, b) => (a.host < b.host ? -1 : 1))] as const;
    });
    return before.replace(new Map(lists));
  }

  #servicesOf(object: ApiObject): readonly Service[] {
    let services = this.#services.get(object);
    if (!services) {
      const read =
        object.kind === serviceEntry.kind
          ? readServiceEntry(object as ServiceEntry)
          : readKubernetesService(object as ServiceObject, this.#settings.clusterDomain);
      services = read === undefined ? [] : [read].flat();
      this.#services.set(object, services);
    }
    return services;
  }

  #nextWorkloads(before: WorkloadIndex): WorkloadIndex {
    const changed = this.#changedNamespaces(workloadEntry.id);
    if (changed.size === 0) return before;
    const lists = [...changed].map((namespace) => {
      const objects = [...this.#objects.in(workloadEntry.id, namespace).values()];
      const workloads = objects.map((object) => this.#reader.entry(object as WorkloadEntry));
      return [namespace, workloads.sort((a, b) => (a.name < b.name ? -1 : 1))] as const;
    });
    return before.replace(new Map(lists));
  }

  #nextEndpoints(
    before: EndpointIndex,
    services: ServiceIndex,
    workloads: WorkloadIndex,
  ): EndpointIndex {
    const changed = this.#changedNamespaces(service.id, serviceEntry.id, workloadEntry.id);
    if (changed.size === 0) return before;
    const next = new Map<Service, ServiceEndpoints>();
    for (const one of services.all()) {
      const old = this.#endpoints.get(one);
      const touched = !old || (changed.has(one.namespace) && this.#selectsChangedEntry(one));
      next.set(one, touched ? this.#endpointsOf(one, workloads, old) : old);
    }
    const same =
      next.size === this.#endpoints.size &&
      [...next].every(([one, endpoints]) => this.#endpoints.get(one) === endpoints);
    if (same) return before;
    this.#endpoints = next;
    return new EndpointIndex(next);
  }

  #endpointsOf(
    one: Service,
    workloads: WorkloadIndex,
    old: ServiceEndpoints | undefined,
  ): ServiceEndpoints {
    const written = this.#reader.writtenInto(one);
    return keepEqualParts(old, findEndpoints(one, workloads.in(one.namespace), written));
  }

  #selectsChangedEntry(one: Service): boolean {
    const { selector } = one;
    if (!selector) return false;
    const entries: readonly WorkloadEntry[] = this.#pending.entries.get(one.namespace) ?? [];
    const changed: readonly Workload[] = entries.map((entry) => this.#reader.entry(entry));
    return changed.some((workload) => labelsMatch(selector, workload.labels));
  }
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
