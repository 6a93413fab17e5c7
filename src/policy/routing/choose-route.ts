import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import { isOfRequest, type RoutedRequest, requestMatches } from '#policy/routing/request-match.ts';
import type { ClientRoute, ClientVirtualServices } from '#policy/routing/virtual-services.ts';

/** The route that takes a request. */
export interface ChosenRoute extends ClientRoute {
  /** The condition that was met; undefined for a route that takes every request. */
  readonly met: HttpMatch | undefined;
}

/** What a client's VirtualServices make of a request to a port of a host. */
export interface RouteChoice {
  /** Names of short hosts are taken in its namespace. */
  readonly object: VirtualService;
  /** Undefined = no route takes the request. */
  readonly chosen: ChosenRoute | undefined;
}

/** Undefined where no VirtualService routes calls of the port: they go to the service itself. */
export function chooseRoute(
  objects: ClientVirtualServices,
  called: { readonly host: string; readonly port: number },
  request: RoutedRequest,
): RouteChoice | undefined {
  const object = objects.forHost(called.host);
  const routes = object ? objects.routesOf(object, called.port) : [];
  if (!object || routes.length === 0) return undefined;
  for (const route of routes) {
    if (route.match.length === 0) return { object, chosen: { ...route, met: undefined } };
    const met = route.match.find((one) => isOfRequest(one) && requestMatches(one, request));
    if (met) return { object, chosen: { ...route, met } };
  }
  return { object, chosen: undefined };
}
