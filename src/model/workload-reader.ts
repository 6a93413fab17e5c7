import type { ServiceEntry } from '#api/kinds/service-entry.ts';
import type { WorkloadEntry } from '#api/kinds/workload-entry.ts';
import type { ApiObject } from '#api/object.ts';
import type { Service } from '#model/service.ts';
import { readInstance, readWorkloadEntry, type Workload } from '#model/workload.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

const NONE: readonly Workload[] = [];

/** Reads workloads out of objects, and gives the same workload for the same object. */
export class WorkloadReader {
  readonly #trustDomain: TrustDomain;
  readonly #entries = new WeakMap<ApiObject, Workload>();
  readonly #written = new WeakMap<ApiObject, readonly Workload[]>();

  constructor(trustDomain: TrustDomain) {
    this.#trustDomain = trustDomain;
  }

  /** The workload of a WorkloadEntry. */
  entry(object: WorkloadEntry): Workload {
    let workload = this.#entries.get(object);
    if (!workload) {
      workload = readWorkloadEntry(object, this.#trustDomain);
      this.#entries.set(object, workload);
    }
    return workload;
  }

  /**
   * The endpoints written into the ServiceEntry that a service comes from; none for other services.
   */
  writtenInto(service: Service): readonly Workload[] {
    const { source } = service;
    if (source.kind !== 'ServiceEntry') return NONE;
    let workloads = this.#written.get(source);
    if (!workloads) {
      workloads = this.#readEndpoints(source as ServiceEntry);
      this.#written.set(source, workloads);
    }
    return workloads;
  }

  #readEndpoints(object: ServiceEntry): readonly Workload[] {
    const { name, namespace = '' } = object.metadata;
    const trustDomain = this.#trustDomain;
    return (object.spec.endpoints ?? []).map((spec, position) =>
      readInstance({
        name: `${name}-${position}`,
        namespace,
        spec,
        trustDomain,
        applicationPorts: {},
      }),
    );
  }
}
