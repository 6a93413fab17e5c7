import { GRPC_STATUSES } from '#api/kinds/virtual-service-feature-rules.ts';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { type AuthzFacts, factsOf } from '#policy/authz/request.ts';
import type { Call, Caller, GivenToken, TakenRoute, Target } from '#policy/decide/call.ts';
import { standIn, targetsOf } from '#policy/decide/find-targets.ts';
import type { PolicyObject } from '#policy/decide/layer.ts';
import { shownObject } from '#policy/decide/layer.ts';
import { changedRequest } from '#policy/routing/changed-request.ts';
import { type ChosenRoute, chooseRoute, type RouteChoice } from '#policy/routing/choose-route.ts';
import { answersPreflight } from '#policy/routing/preflight.ts';
import { type RoutePlaceFound, routePlaceOf } from '#policy/routing/route-place.ts';
import { virtualServicesFor } from '#policy/routing/virtual-services.ts';
import { ClientRules } from '#policy/tls/destination-rules.ts';

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
  return choice && new Router({ ...request, http }, facts, mesh).calls(choice);
}

function pathWithQuery(facts: AuthzFacts): string {
  return facts.header(':path')[0] ?? facts.path;
}

/** A way out of a route: the words for its share, and for the copies that others get. */
interface Way {
  readonly object: PolicyObject;
  readonly field: string;
  /** `10 % of such requests`, `such requests`. */
  readonly share: string;
}

class Router {
  readonly #request: RequestToRoute;
  readonly #facts: AuthzFacts;
  readonly #mesh: MeshSnapshot;

  constructor(request: RequestToRoute, facts: AuthzFacts, mesh: MeshSnapshot) {
    this.#request = request;
    this.#facts = facts;
    this.#mesh = mesh;
  }

  calls({ object, chosen }: RouteChoice): readonly Call[] {
    const of = objectOf(object);
    if (!chosen) {
      const advice = `add a route that takes it to ${shownObject(of)}`;
      const way = { object: of, field: 'spec.http', share: 'such requests' };
      return [this.#ended(way, '404 from its own proxy', 'has no route for', advice)];
    }
    const { written, route } = chosen;
    const field = `spec.http[${written.index}]`;
    const by = { object: objectOf(written.object), field };
    const aborted = this.#aborted(route, by);
    const rest = 100 - aborted.percent;
    if (rest <= 0) return aborted.calls;
    return [...aborted.calls, ...this.#goesOn(chosen, by, rest, object.metadata.namespace ?? '')];
  }

  /** Requests that are broken on purpose. */
  #aborted({ fault }: HttpRoute, by: Omit<Way, 'share'>) {
    const { httpStatus, grpcStatus = '', percentage } = fault?.abort ?? {};
    const code = GRPC_STATUSES.indexOf(grpcStatus);
    const percent = percentage ? (percentage.value ?? 0) : 100;
    if ((httpStatus === undefined && code < 0) || percent <= 0) return { percent: 0, calls: [] };
    const answer = httpStatus === undefined ? `200 with grpc-status ${code}` : `${httpStatus}`;
    const way = { ...by, field: `${by.field}.fault.abort`, share: shareText(percent) };
    const call = this.#ended(way, `${answer} from its own proxy`, 'breaks on purpose');
    return { percent, calls: [call] };
  }

  #goesOn(chosen: ChosenRoute, by: Omit<Way, 'share'>, percent: number, namespace: string) {
    const { redirect, directResponse, corsPolicy, route: places = [] } = chosen.route;
    const way = { ...by, share: shareText(percent) };
    const says = (answer: string, what: string): readonly Call[] => [
      this.#ended(way, `${answer} from its own proxy`, what),
    ];
    if (corsPolicy && answersPreflight(corsPolicy, this.#facts))
      return says('200', 'answers, as preflights of pages,');
    if (redirect) return says(`${redirect.redirectCode || 301}`, 'redirects');
    if (directResponse) return says(`${directResponse.status}`, 'answers by itself');
    const shares = places.map(({ weight = 0 }) => (places.length === 1 ? 1 : weight));
    const total = shares.reduce((sum, weight) => sum + weight, 0);
    const routed = places.flatMap((place, index) => {
      const share = ((shares[index] ?? 0) / total) * percent;
      return share > 0 ? [{ place, share: shareText(share) }] : [];
    });
    return routed.flatMap(({ place, share }) => {
      const sent = changedRequest(
        { ...this.#request.http, target: pathWithQuery(this.#facts) },
        {
          route: chosen.route,
          match: chosen.met,
          places: places.map(({ headers }) => headers),
          place: place.headers,
        },
      );
      const { view, settings } = this.#seen();
      const at = { namespace, calledPort: this.#request.port.port };
      const found = routePlaceOf(place.destination, at, { view, settings });
      const { host, subset = '' } = place.destination;
      const name = subset === '' ? host : `${host}, subset ${subset}`;
      return found
        ? this.#arriving(found, { ...by, share }, sent)
        : [this.#ended({ ...by, share }, UNREACHABLE, `leads to ${name}, which it does not know,`)];
    });
  }

  #seen() {
    const { services, settings } = this.#mesh;
    return { view: services.viewOf(this.#request.from.namespace), settings };
  }

  /** A call for each workload that the place stands for. */
  #arriving(place: RoutePlaceFound, way: Way, http: NonNullable<Call['http']>): readonly Call[] {
    const { service, port, subset } = place;
    const { from, token } = this.#request;
    const part = subset === '' ? '' : `, subset ${subset}`;
    const name = `${service.namespace}/${service.name}:${port.port}${part}`;
    const labels = subset === '' ? {} : this.#subsetLabels(service, subset);
    if (!labels) return [this.#ended(way, UNREACHABLE, `leads to ${name}, which no rule defines,`)];
    if (service.external) return [this.#leaving(way, name)];
    const targets = targetsOf(service, port, this.#mesh)
      .filter(
        ({ workload, assumed }) => assumed === 'selector' || labelsMatch(labels, workload.labels),
      )
      .map((to): Target => (subset === '' ? to : { ...to, subset }));
    if (targets.length === 0)
      return [this.#ended(way, UNREACHABLE, `leads to ${name}, where no workload is,`)];
    const host = http.host === this.#request.http.host ? '' : ` for ${http.host}`;
    const reason = `leads ${way.share} to ${name}, as ${http.method} ${http.target}${host}`;
    const route = this.#route(way, { outcome: 'pass', reason }, undefined);
    return targets.map((to) => ({ from, to, http, token, route }));
  }

  #subsetLabels(service: Service, subset: string) {
    const { destinationRules, settings } = this.#mesh;
    const rule = new ClientRules(destinationRules, this.#request.from, settings).ruleFor(service);
    return rule?.subsets.find(({ name }) => name === subset)?.labels;
  }

  /** Policies of the mesh are not asked about what leaves it. */
  #leaving(way: Way, name: string): Call {
    const reason = `leads ${way.share} to ${name}, outside of the mesh`;
    const answer = 'the server outside of the mesh gets it';
    return this.#answered(this.#route(way, { outcome: 'pass', reason }, answer));
  }

  #ended(way: Way, answer: string, what: string, advice?: string): Call {
    const reason = `${what} ${way.share}`;
    return this.#answered(this.#route(way, { outcome: 'deny', reason }, answer, advice));
  }

  #answered(route: TakenRoute): Call {
    const { from, service, port, http, token } = this.#request;
    return { from, to: standIn(service, port, this.#mesh), http, token, route };
  }

  #route(
    { object, field }: Way,
    { outcome, reason }: Pick<TakenRoute['layer'], 'outcome' | 'reason'>,
    answer: string | undefined,
    advice?: string,
  ): TakenRoute {
    const { service, port, http } = this.#request;
    return {
      called: { service, port, http },
      layer: { layer: 'route', outcome, reason: `${shownObject(object)} ${reason}`, object, field },
      answer,
      advice,
    };
  }
}

const UNREACHABLE = '503 from its own proxy, which knows no server';

function shareText(percent: number): string {
  return percent >= 100 ? 'such requests' : `${Number(percent.toFixed(2))} % of such requests`;
}

function objectOf({ kind, metadata }: RouteChoice['object']): PolicyObject {
  return { kind, namespace: metadata.namespace ?? '', name: metadata.name };
}
