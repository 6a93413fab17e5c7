import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { olderFirst } from '#model/age.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { Labels } from '#model/selector.ts';
import { resolveGateway } from '#policy/gateway/gateway-name.ts';
import { delegatedRoutes } from '#policy/routing/delegate.ts';
import { canHold, MESH, type SourceMatch } from '#policy/routing/source-match.ts';
import { hostCovers, narrowerFirst, resolveHost } from '#policy/tls/host-match.ts';

/** Who calls. */
export interface RoutingClient {
  readonly namespace: string;
  readonly labels: Labels;
}

interface Candidate {
  readonly host: string;
  readonly object: VirtualService;
}

/** A route that counts for a client, with those of its conditions that can hold. */
export interface ClientRoute {
  readonly route: HttpRoute;
  /** None = every request. */
  readonly match: readonly HttpMatch[];
  /** The object that it is written in, and where. */
  readonly written: { readonly object: VirtualService; readonly index: number };
}

type WrittenRoute = Pick<ClientRoute, 'route' | 'written'>;

/**
 * The VirtualService objects as one client sees them. Of those for a host the narrower host wins,
 * then what only the client's own namespace sees, then what is exported to it by name, then the
 * oldest; routes of several are not put together (Istio, "VirtualService").
 */
export class ClientVirtualServices {
  readonly #client: RoutingClient;
  readonly #objects: NamespacedObjects<VirtualService>;
  readonly #exact = new Map<string, VirtualService>();
  readonly #wildcards: readonly Candidate[];

  constructor(
    objects: NamespacedObjects<VirtualService>,
    client: RoutingClient,
    settings: Pick<MeshSettings, 'clusterDomain'>,
  ) {
    this.#client = client;
    this.#objects = objects;
    const candidates = objects
      .all()
      .filter((object) => isForSidecars(object) && visibility(object, client.namespace) > 0)
      .sort(
        (a, b) =>
          visibility(b, client.namespace) - visibility(a, client.namespace) || olderFirst(a, b),
      )
      .flatMap((object) => hostsOf(object, settings.clusterDomain))
      .sort((a, b) => narrowerFirst(a.host, b.host));
    for (const { host, object } of candidates)
      if (!this.#exact.has(host)) this.#exact.set(host, object);
    this.#wildcards = candidates.filter(({ host }) => host.startsWith('*'));
  }

  /** What routes HTTP to a host; undefined = nothing does, so requests go to the service itself. */
  forHost(host: string): VirtualService | undefined {
    const exact = this.#exact.get(host);
    return exact ?? this.#wildcards.find((candidate) => hostCovers(candidate.host, host))?.object;
  }

  /**
   * The routes of an object for requests to a port, in their order.
   * @param gateway `namespace/name` of the gateway that the client is; `mesh` = beside a workload
   */
  routesOf(object: VirtualService, port: number, gateway = MESH): readonly ClientRoute[] {
    const client = this.#client;
    const place = { client, port, gateway };
    const routes = (object.spec?.http ?? []).flatMap((route, index) =>
      this.#delegated(route, { object, index }),
    );
    return routes.flatMap(({ route, written }) => {
      const { match = [] } = route;
      const namespace = object.metadata.namespace ?? '';
      const possible = match.filter((one) => canHold(withGateways(one, namespace), place));
      return match.length > 0 && possible.length === 0 ? [] : [{ route, match: possible, written }];
    });
  }

  /** The route itself, or what it delegates to; nothing where that is not there. */
  #delegated(route: HttpRoute, written: ClientRoute['written']): readonly WrittenRoute[] {
    const { delegate } = route;
    if (!delegate) return [{ route, written }];
    const own = written.object.metadata.namespace ?? '';
    const target = this.#objects.get(delegate.namespace || own, delegate.name ?? '');
    if (!target || target.spec?.hosts?.length || visibility(target, own) === 0) return [];
    return delegatedRoutes(route, target).map(({ route: one, index }) => {
      return { route: one, written: { object: target, index } };
    });
  }
}

/** Whether any object asks for labels of callers, so that callers of a namespace differ. */
function asksForLabels(objects: NamespacedObjects<VirtualService>): boolean {
  let asks = labelled.get(objects);
  if (asks === undefined) {
    asks = objects
      .all()
      .flatMap(({ spec }) => spec?.http ?? [])
      .some(({ match = [] }) => match.some(({ sourceLabels }) => sourceLabels !== undefined));
    labelled.set(objects, asks);
  }
  return asks;
}

/** What clients of one scope see of some objects, found out once. */
const seen = new WeakMap<NamespacedObjects<VirtualService>, Map<string, ClientVirtualServices>>();

/** The objects as a client sees them; the same answer for clients that see the same. */
export function virtualServicesFor(
  client: RoutingClient,
  objects: NamespacedObjects<VirtualService>,
  settings: Pick<MeshSettings, 'clusterDomain'>,
): ClientVirtualServices {
  const byScope = seen.get(objects) ?? new Map<string, ClientVirtualServices>();
  seen.set(objects, byScope);
  const scope = routingScope(objects, client);
  const found = byScope.get(scope) ?? new ClientVirtualServices(objects, client, settings);
  byScope.set(scope, found);
  return found;
}

/** Tells clients apart that may see different routes: two with the same answer see the same. */
export function routingScope(
  objects: NamespacedObjects<VirtualService>,
  { namespace, labels }: RoutingClient,
): string {
  return asksForLabels(objects) ? JSON.stringify([namespace, labels]) : namespace;
}

const labelled = new WeakMap<NamespacedObjects<VirtualService>, boolean>();

function isForSidecars({ spec }: VirtualService): boolean {
  const { gateways = [], http = [] } = spec ?? {};
  if (http.length === 0) return false;
  return gateways.length === 0 || gateways.includes(MESH);
}

/** Whether proxies of a namespace see the object. */
export function isVisible(object: VirtualService, namespace: string): boolean {
  return visibility(object, namespace) > 0;
}

/** The condition with the full names of its gateways. */
export function withGateways<M extends SourceMatch>(match: M, namespace: string): M {
  const { gateways } = match;
  if (!gateways) return match;
  return { ...match, gateways: gateways.map((name) => resolveGateway(name, namespace)) };
}

/** 3 = only its own namespace sees it, 2 = by name, 1 = everybody does, 0 = not at all. */
function visibility({ spec, metadata }: VirtualService, namespace: string): number {
  const exportTo = spec?.exportTo ?? [];
  if (exportTo.length === 0 || exportTo.includes('*')) return 1;
  const own = metadata.namespace === namespace;
  if (own && (exportTo.includes('.') || exportTo.includes(namespace))) return 3;
  return exportTo.includes(namespace) ? 2 : 0;
}

function hostsOf(object: VirtualService, clusterDomain: string): readonly Candidate[] {
  const { hosts = [] } = object.spec ?? {};
  const namespace = object.metadata.namespace ?? '';
  return hosts.map((host) => ({ host: resolveHost(host, namespace, clusterDomain), object }));
}
