import type { ServiceEndpoints } from '#model/endpoint.ts';
import type { Service } from '#model/service.ts';

const NOTHING: ServiceEndpoints = { byPort: new Map(), identities: [], unnamedNamespaces: [] };

/** What is behind each service. Immutable; a service without changes keeps its object. */
export class EndpointIndex {
  readonly #endpoints: ReadonlyMap<Service, ServiceEndpoints>;

  /** `endpoints` is not changed afterwards. */
  constructor(endpoints: ReadonlyMap<Service, ServiceEndpoints>) {
    this.#endpoints = endpoints;
  }

  /**
   * The endpoints of a service of the same snapshot; the same object as long as none of them
   * changed.
   */
  of(service: Service): ServiceEndpoints {
    return this.#endpoints.get(service) ?? NOTHING;
  }
}
