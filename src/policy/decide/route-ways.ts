import type { VirtualService } from '#api/kinds/virtual-service.ts';
import { GRPC_STATUSES } from '#api/kinds/virtual-service-feature-rules.ts';
import type { Destination, HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import type { Call, Caller, GivenToken, TakenRoute, Target } from '#policy/decide/call.ts';
import { targetsOf } from '#policy/decide/find-targets.ts';
import { type PolicyObject, shownObject } from '#policy/decide/layer.ts';
import { writtenObject } from '#policy/decide/written-object.ts';
import type { PlainRoute } from '#policy/gateway/bound-services.ts';
import { isDerived } from '#policy/gateway/derived-gateways.ts';
import { changedRequest } from '#policy/routing/changed-request.ts';
import type { ChosenRoute, RouteChoice } from '#policy/routing/choose-route.ts';
import { answersPreflight } from '#policy/routing/preflight.ts';
import { type RoutePlaceFound, routePlaceOf } from '#policy/routing/route-place.ts';
import { ClientRules } from '#policy/tls/destination-rules.ts';

/** A request as a proxy that routes it has it. */
export interface RequestAtProxy {
  /** As whom the proxy calls. */
  readonly from: Caller;
  /** Undefined for a connection that is not HTTP. */
  readonly http: Call['http'];
  readonly token: GivenToken | undefined;
  /** What was called, for words about it; it stands for where the proxy answers by itself. */
  readonly called: Target;
  /** The port that the caller means. */
  readonly calledPort: number;
  /** `its own proxy`, or another that routes. */
  readonly proxy: string;
  /** The call that brought it there, where the proxy is a gateway. */
  readonly via?: Call;
}

/**
 * What becomes of a request by the route that was chosen for it: a call for every workload that may
 * get it, and one for each answer that the proxy gives by itself.
 */
export function waysOf(
  choice: RouteChoice,
  request: RequestAtProxy & { readonly http: NonNullable<Call['http']> },
  facts: AuthzFacts,
  mesh: MeshSnapshot,
): readonly Call[] {
  return new RequestRouter(request, facts, mesh).calls(choice);
}

/** The same of a connection that is not HTTP, by the destinations that its route has. */
export function waysOfConnection(
  { object, route, field }: { readonly field: string } & ConnectionRoute,
  request: RequestAtProxy,
  mesh: MeshSnapshot,
): readonly Call[] {
  const router = new Router(request, mesh);
  const { namespace = '' } = object.metadata;
  const by = { object: writtenObject(object), field };
  return sharesOf(route, 100).flatMap(({ place, percent }) => {
    const way = { ...by, share: shareText(percent, 'connections') };
    return router.leading(place.destination, { namespace, way, http: undefined });
  });
}

/** Where an object leads connections. */
export interface ConnectionRoute {
  readonly object: VirtualService;
  readonly route: PlainRoute;
}

/** A call that ends at the proxy that routes it: with its answer, and the words about it. */
export function endedAtProxy(
  request: RequestAtProxy,
  layer: Omit<TakenRoute['layer'], 'layer'>,
  { answer, advice }: Pick<TakenRoute, 'advice'> & { readonly answer: string },
): Call {
  const { from, http, token, called: to, via } = request;
  const called = { service: to.service, port: to.port, http: via ? via.http : http };
  const route: TakenRoute = { called, layer: { layer: 'route', ...layer }, answer, advice };
  return { from, to, http, token, route, ...(via && { via }) };
}

/** The path of a request as its proxy normalizes it, with query. */
export function pathWithQuery(facts: AuthzFacts): string {
  return facts.header(':path')[0] ?? facts.path;
}

/** A way out of a route: the words for its share, and for the copies that others get. */
interface Way {
  readonly object: PolicyObject;
  readonly field: string;
  /** `10 % of such requests`, `such requests`. */
  readonly share: string;
}

/** Leads what a proxy has to where its routes say. */
class Router {
  readonly request: RequestAtProxy;
  readonly #mesh: MeshSnapshot;

  constructor(request: RequestAtProxy, mesh: MeshSnapshot) {
    this.request = request;
    this.#mesh = mesh;
  }

  #seen() {
    const { services, settings } = this.#mesh;
    return { view: services.viewOf(this.request.from.namespace), settings };
  }

  /** A call for each workload that a destination stands for. */
  leading(
    destination: Destination,
    {
      namespace,
      way,
      http,
    }: Pick<Call, 'http'> & { readonly namespace: string; readonly way: Way },
  ): readonly Call[] {
    const { view, settings } = this.#seen();
    const at = { namespace, calledPort: this.request.calledPort };
    const found = routePlaceOf(destination, at, { view, settings });
    if (found) return this.#arriving(found, way, http);
    const { host, subset = '' } = destination;
    const name = subset === '' ? host : `${host}, subset ${subset}`;
    return this.#toNowhere(way, `${name}, which the caller does not know`);
  }

  /** A call for each workload that the place stands for. */
  #arriving(place: RoutePlaceFound, way: Way, http: Call['http']): readonly Call[] {
    const { service, port, subset } = place;
    const { from, token, via } = this.request;
    const part = subset === '' ? '' : `, subset ${subset}`;
    const name = `${service.namespace}/${service.name}:${port.port}${part}`;
    const labels = subset === '' ? {} : this.#subsetLabels(service, subset);
    if (!labels) return this.#toNowhere(way, `${name}, which no rule defines`);
    if (service.external) return [this.#leaving(way, name)];
    const targets = targetsOf(service, port, this.#mesh)
      .filter(
        ({ workload, assumed }) => assumed === 'selector' || labelsMatch(labels, workload.labels),
      )
      .map((to): Target => (subset === '' ? to : { ...to, subset }));
    if (targets.length === 0) return this.#toNowhere(way, `${name}, where no workload is`);
    const { object, field } = way;
    const said = `${shownObject(object)} leads ${way.share} to ${name}${this.#asWhat(http)}`;
    const { called, http: own } = this.request;
    const asked = via ? via.http : own;
    const route: TakenRoute = {
      called: { service: called.service, port: called.port, http: asked },
      layer: { layer: 'route', outcome: 'pass', reason: said, object, field },
      answer: undefined,
      advice: undefined,
    };
    const sent = http ?? unreadRequest(service, port);
    return targets.map((to) => ({ from, to, http: sent, token, route, ...(via && { via }) }));
  }

  #asWhat(http: Call['http']): string {
    if (http === undefined) return '';
    const host = http.host === this.request.http?.host ? '' : ` for ${http.host}`;
    return `, as ${http.method} ${http.target}${host}`;
  }

  #subsetLabels(service: Service, subset: string) {
    const { destinationRules, settings } = this.#mesh;
    const rule = new ClientRules(destinationRules, this.request.from, settings).ruleFor(service);
    return rule?.subsets.find(({ name }) => name === subset)?.labels;
  }

  /** Policies of the mesh are not asked about what leaves it. */
  #leaving(way: Way, name: string): Call {
    const { object, field, share } = way;
    const reason = `${shownObject(object)} leads ${share} to ${name}, outside of the mesh`;
    const answer = 'the server outside of the mesh gets it';
    const layer = { outcome: 'pass', reason, object, field } as const;
    return endedAtProxy(this.request, layer, { answer, advice: undefined });
  }

  ended(way: Way, answer: string, what: string, advice?: string): Call {
    const { object, field } = way;
    const reason = `${shownObject(object)} ${what}`;
    const layer = { outcome: 'deny', reason, object, field } as const;
    return endedAtProxy(this.request, layer, { answer, advice });
  }

  says(answer: string): string {
    return `${answer} from ${this.request.proxy}`;
  }

  #toNowhere(way: Way, where: string): readonly Call[] {
    const answer = `${this.says('503')}, which knows no server`;
    return [this.ended(way, answer, `leads ${way.share} to ${where}`)];
  }
}

class RequestRouter {
  readonly #request: RequestAtProxy & { readonly http: NonNullable<Call['http']> };
  readonly #router: Router;
  readonly #facts: AuthzFacts;

  constructor(
    request: RequestAtProxy & { readonly http: NonNullable<Call['http']> },
    facts: AuthzFacts,
    mesh: MeshSnapshot,
  ) {
    this.#request = request;
    this.#router = new Router(request, mesh);
    this.#facts = facts;
  }

  calls({ object, chosen }: RouteChoice): readonly Call[] {
    const of = writtenObject(object);
    if (!chosen) {
      const advice = `add a route that takes it to ${shownObject(of)}`;
      const way = { object: of, field: 'spec.http', share: 'such requests' };
      return [
        this.#router.ended(way, this.#router.says('404'), `has no route for ${way.share}`, advice),
      ];
    }
    const { written, route } = chosen;
    const by = writtenAt(written);
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
    const call = this.#router.ended(
      way,
      this.#router.says(answer),
      `breaks on purpose ${way.share}`,
    );
    return { percent, calls: [call] };
  }

  #goesOn(chosen: ChosenRoute, by: Omit<Way, 'share'>, percent: number, namespace: string) {
    const { redirect, directResponse, corsPolicy, route: places = [] } = chosen.route;
    const way = { ...by, share: shareText(percent) };
    const says = (answer: string, what: string): readonly Call[] => [
      this.#router.ended(way, this.#router.says(answer), what),
    ];
    if (corsPolicy && answersPreflight(corsPolicy, this.#facts))
      return says('200', 'answers, as preflights of pages,');
    if (redirect) return says(`${redirect.redirectCode || 301}`, 'redirects');
    if (directResponse) return says(`${directResponse.status}`, 'answers by itself');
    return sharesOf(places, percent).flatMap(({ place, percent: share }) => {
      const http = changedRequest(
        { ...this.#request.http, target: pathWithQuery(this.#facts) },
        {
          route: chosen.route,
          match: chosen.met,
          places: places.map(({ headers }) => headers),
          place: place.headers,
        },
      );
      const to = { namespace, way: { ...by, share: shareText(share) }, http };
      return this.#router.leading(place.destination, to);
    });
  }
}

/** Destinations that get anything, each with its part of so many per cent. */
function sharesOf<P extends { readonly weight?: number }>(places: readonly P[], percent: number) {
  const shares = places.map(({ weight = 0 }) => (places.length === 1 ? 1 : weight));
  const total = shares.reduce((sum, weight) => sum + weight, 0);
  return places.flatMap((place, index) => {
    const share = ((shares[index] ?? 0) / total) * percent;
    return share > 0 ? [{ place, percent: share }] : [];
  });
}

/** Of a connection that leads to a port of HTTP nobody says what is asked there. */
function unreadRequest(service: Service, port: ServicePort): Call['http'] {
  if (PROTOCOLS[port.protocol].handling !== 'http') return undefined;
  return { method: 'GET', target: '/', host: service.host };
}

function shareText(percent: number, of = 'requests'): string {
  return percent >= 100 ? `such ${of}` : `${Number(percent.toFixed(2))} % of such ${of}`;
}

/** Rules of an HTTPRoute come to several routes each. */
function writtenAt({ object, index }: ChosenRoute['written']): Omit<Way, 'share'> {
  const field = isDerived(object.metadata.name) ? 'spec.rules' : `spec.http[${index}]`;
  return { object: writtenObject(object), field };
}
