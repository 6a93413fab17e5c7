import { olderFirst } from '#model/age.ts';
import type { Service } from '#model/service.ts';

/** The services that callers of one namespace see. */
export interface ServiceView {
  /** One service a host, sorted by host. */
  readonly services: readonly Service[];
  readonly byHost: ReadonlyMap<string, Service>;
}

const NONE: readonly Service[] = [];

/**
 * All services. Immutable; a model makes a new one exactly when a service came, went or changed
 * (its endpoints are not part of it), and a namespace without changes keeps its array.
 */
export class ServiceIndex {
  readonly #lists: ReadonlyMap<string, readonly Service[]>;
  readonly #views = new Map<string, ServiceView>();
  #common: ServiceView | undefined;
  #special: ReadonlySet<string> | undefined;

  /** `lists`: the services of each namespace, sorted by host; not changed afterwards. */
  constructor(lists: ReadonlyMap<string, readonly Service[]>) {
    this.#lists = lists;
  }

  /** The services that live in a namespace, sorted by host. */
  in(namespace: string): readonly Service[] {
    return this.#lists.get(namespace) ?? NONE;
  }

  /** Every service, by namespace, then host. */
  all(): readonly Service[] {
    return [...this.#lists.keys()].sort().flatMap((namespace) => this.in(namespace));
  }

  /**
   * What callers in a namespace see: what is exported to them; of several services with one host
   * their own namespace's, else a Kubernetes Service, else the oldest. Namespaces that see the same
   * share the object.
   */
  viewOf(namespace: string): ServiceView {
    this.#special ??= this.#findSpecial();
    if (!this.#special.has(namespace)) {
      this.#common ??= this.#build('');
      return this.#common;
    }
    let view = this.#views.get(namespace);
    if (!view) {
      view = this.#build(namespace);
      this.#views.set(namespace, view);
    }
    return view;
  }

  /** An index with `lists` in place of those namespaces' lists. */
  replace(lists: ReadonlyMap<string, readonly Service[]>): ServiceIndex {
    return new ServiceIndex(new Map([...this.#lists, ...lists]));
  }

  /**
   * Namespaces that see something that not everybody sees: exported to them only, or their own of a
   * shared host.
   */
  #findSpecial(): ReadonlySet<string> {
    const special = new Set<string>();
    const owners = new Map<string, string>();
    for (const service of this.all()) {
      for (const target of service.exportTo) {
        if (target !== '*') special.add(target === '.' ? service.namespace : target);
      }
      const other = owners.get(service.host);
      if (other === undefined) owners.set(service.host, service.namespace);
      else special.add(other).add(service.namespace);
    }
    return special;
  }

  #build(namespace: string): ServiceView {
    const byHost = new Map<string, Service>();
    for (const service of this.all()) {
      if (!exportedTo(service, namespace)) continue;
      const other = byHost.get(service.host);
      if (!other || wins(service, other, namespace)) byHost.set(service.host, service);
    }
    const services = [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
    return { services, byHost: new Map(services.map((service) => [service.host, service])) };
  }
}

function exportedTo(service: Service, namespace: string): boolean {
  if (service.exportTo.length === 0 || service.exportTo.includes('*')) return true;
  if (service.namespace === namespace && service.exportTo.includes('.')) return true;
  return service.exportTo.includes(namespace);
}

function wins(service: Service, other: Service, namespace: string): boolean {
  const own = Number(service.namespace === namespace) - Number(other.namespace === namespace);
  if (own !== 0) return own > 0;
  const native =
    Number(service.source.kind === 'Service') - Number(other.source.kind === 'Service');
  if (native !== 0) return native > 0;
  return olderFirst(service.source, other.source) < 0;
}
