import { isDeepStrictEqual } from 'node:util';
import type { HttpRouteObject } from '#api/kinds/http-route.ts';
import { httpRouteKind } from '#api/kinds/http-route.ts';
import type { KubernetesGateway } from '#api/kinds/kubernetes-gateway.ts';
import { kubernetesGateway } from '#api/kinds/kubernetes-gateway.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import { type Condition, mergeConditions, type Said } from '#controlplane/status-conditions.ts';
import { CONTROLLERS } from '#policy/gateway/derived-gateways.ts';
import type { GatewayApiCondition, GatewayApiStates } from '#policy/gateway/gateway-api-state.ts';

/** Kinds whose status the Gateway API defines. */
export const GATEWAY_API_KINDS: readonly KindId[] = [kubernetesGateway.id, httpRouteKind.id];

interface GatewayStatus {
  readonly conditions?: readonly Condition[];
}

interface RouteStatus {
  readonly parents?: readonly ParentStatus[];
}

interface ParentStatus {
  readonly parentRef?: unknown;
  readonly controllerName?: string;
  readonly conditions?: readonly Condition[];
}

type WithStatus<S> = ApiObject & { readonly status?: S };

/**
 * An object of GATEWAY_API_KINDS with what is said of it now; undefined when that is the same.
 * @param now milliseconds since 1970
 */
export function withGatewayApiStatus(
  object: ApiObject,
  states: GatewayApiStates,
  now: number,
): ApiObject | undefined {
  return object.kind === kubernetesGateway.kind
    ? gatewayWithStatus(object as KubernetesGateway & WithStatus<GatewayStatus>, states, now)
    : routeWithStatus(object as HttpRouteObject & WithStatus<RouteStatus>, states, now);
}

function gatewayWithStatus(
  object: KubernetesGateway & WithStatus<GatewayStatus>,
  states: GatewayApiStates,
  now: number,
): ApiObject | undefined {
  const said = states.gateway(object);
  if (!said) return undefined;
  const before = object.status?.conditions ?? [];
  const conditions = mergeConditions(before, saying(said, object), now);
  if (conditions === before) return undefined;
  const next: WithStatus<GatewayStatus> = { ...object, status: { ...object.status, conditions } };
  return next;
}

function routeWithStatus(
  object: HttpRouteObject & WithStatus<RouteStatus>,
  states: GatewayApiStates,
  now: number,
): ApiObject | undefined {
  const before = object.status?.parents ?? [];
  // What others say about the route stays.
  const others = before.filter(({ controllerName = '' }) => !CONTROLLERS.includes(controllerName));
  const ours = states.route(object).map(({ parentRef, controllerName, conditions }) => {
    const known = before.find((one) => isDeepStrictEqual(one.parentRef, parentRef));
    const old = known?.controllerName === controllerName ? (known.conditions ?? []) : [];
    const merged = mergeConditions(old, saying(conditions, object), now);
    return { parentRef, controllerName, conditions: merged };
  });
  const parents: readonly ParentStatus[] = [...others, ...ours];
  if (isDeepStrictEqual(parents, before)) return undefined;
  const next: WithStatus<RouteStatus> = { ...object, status: { ...object.status, parents } };
  return next;
}

function saying(
  conditions: readonly GatewayApiCondition[],
  { metadata: { generation } }: ApiObject,
): ReadonlyMap<string, Said> {
  const about = generation === undefined ? {} : { observedGeneration: generation };
  return new Map(conditions.map((one) => [one.type, { ...one, ...about }]));
}
