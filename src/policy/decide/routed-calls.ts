import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { factsOf } from '#policy/authz/request.ts';
import type { Call, Caller, GivenToken } from '#policy/decide/call.ts';
import { standIn } from '#policy/decide/find-targets.ts';
import { pathWithQuery, waysOf } from '#policy/decide/route-ways.ts';
import { chooseRoute } from '#policy/routing/choose-route.ts';
import { virtualServicesFor } from '#policy/routing/virtual-services.ts';

/** A request that an application gives to the proxy beside it. */
export interface RequestToRoute {
  readonly from: Caller;
  readonly service: Service;
  readonly port: ServicePort;
  readonly http: NonNullable<Call['http']>;
  readonly token: GivenToken | undefined;
}

/**
 * What becomes of a request at the proxy of its caller: a call for every workload that may get it,
 * changed as its route says, and one for each answer that the proxy gives by itself. Undefined
 * where no VirtualService of the caller routes it, so that it goes to the service as it is.
 */
export function routedCalls(
  request: RequestToRoute,
  mesh: MeshSnapshot,
): readonly Call[] | undefined {
  const { from, service, port } = request;
  const { settings, virtualServices } = mesh;
  if (from.identity === undefined || virtualServices.namespaces().length === 0) return undefined;
  // The proxy of the caller leaves a dot at the end of the host out.
  const http = { ...request.http, host: request.http.host?.replace(/\.$/, '') };
  const authz = { source: { address: '' }, destination: { port: port.port }, http };
  const facts = factsOf(authz, settings.pathNormalization, settings.hardening);
  // What is malformed is refused, wherever it goes.
  if (facts === undefined) return undefined;
  const objects = virtualServicesFor(from, virtualServices, settings);
  const query = pathWithQuery(facts).slice(facts.path.length + 1);
  const called = { host: service.host, port: port.port };
  const choice = chooseRoute(objects, called, { facts, query });
  const { token } = request;
  const target = standIn(service, port, mesh);
  const at = { called: target, calledPort: port.port, proxy: 'its own proxy' };
  return choice && waysOf(choice, { from, http, token, ...at }, facts, mesh);
}
