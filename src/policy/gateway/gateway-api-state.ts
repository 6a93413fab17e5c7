import type { HttpRouteObject } from '#api/kinds/http-route.ts';
import type { KubernetesGateway, KubernetesListener } from '#api/kinds/kubernetes-gateway.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import {
  controllerOf,
  derivedGateway,
  derivedName,
  isServedOverTls,
} from '#policy/gateway/derived-gateways.ts';
import { parentsOf } from '#policy/gateway/derived-routes.ts';
import { lackingSecrets } from '#policy/gateway/gateway-findings.ts';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { type BoundServer, gatewayPorts } from '#policy/gateway/gateway-ports.ts';
import { commonHosts, hostsForNamespace } from '#policy/gateway/server-hosts.ts';
import { GATEWAY_NAME } from '#policy/target-references.ts';

/** A condition of the Gateway API, with its words for types and reasons, without times. */
export interface GatewayApiCondition {
  readonly type: 'Accepted' | 'Programmed' | 'ResolvedRefs';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

type ParentReference = NonNullable<NonNullable<HttpRouteObject['spec']>['parentRefs']>[number];

/** What a Gateway that is ours makes of a route: an entry of `status.parents`. */
export interface RouteParentState {
  /** As the route has it. */
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly GatewayApiCondition[];
}

/**
 * What is to be told of the objects of the Gateway API in a mesh (gateway-api.sigs.k8s.io, "API
 * specification", GatewayConditionType and RouteConditionType). Of Gateways of other controllers
 * nothing is.
 */
export class GatewayApiStates {
  readonly #mesh: MeshSnapshot;
  readonly #servers = new Map<Workload, readonly BoundServer[]>();

  constructor(mesh: MeshSnapshot) {
    this.#mesh = seenByGateways(mesh);
  }

  /** Undefined for a Gateway of another controller. */
  gateway(object: KubernetesGateway): readonly GatewayApiCondition[] | undefined {
    if (controllerOf(object, this.#mesh.gatewayClasses) === undefined) return undefined;
    return [this.#accepted(object), this.#programmed(object)];
  }

  /** One for each reference to a Gateway of ours. */
  route(object: HttpRouteObject): readonly RouteParentState[] {
    const { kubernetesGateways, gatewayClasses } = this.#mesh;
    return (object.spec?.parentRefs ?? []).flatMap((parentRef) => {
      const gateway = kubernetesGateways.get(
        parentRef.namespace ?? object.metadata.namespace ?? '',
        parentRef.name,
      );
      const controllerName = gateway && controllerOf(gateway, gatewayClasses);
      if (!gateway || controllerName === undefined) return [];
      const conditions = [this.#takes(gateway, object, parentRef), this.#resolved(object)];
      return [{ parentRef, controllerName, conditions }];
    });
  }

  #accepted(object: KubernetesGateway): GatewayApiCondition {
    const { spec } = object;
    const left = spec.listeners.filter((one) => !isServable(one, object));
    const reason = left.length === 0 ? 'Accepted' : 'ListenersNotValid';
    const named = left.map(({ name, protocol }) => `${name} (${protocol})`).join(', ');
    return {
      type: 'Accepted',
      status: left.length < spec.listeners.length ? 'True' : 'False',
      reason,
      message: left.length === 0 ? 'every listener can be served' : `not served: ${named}`,
    };
  }

  #programmed({ spec, metadata }: KubernetesGateway): GatewayApiCondition {
    const type = 'Programmed';
    const { name, namespace = '' } = metadata;
    const workloads = this.#mesh.workloads
      .in(namespace)
      .filter(({ labels }) => labels[GATEWAY_NAME] === name);
    if (workloads.length === 0) {
      const message = `no workload of namespace ${namespace} has the label ${GATEWAY_NAME}: ${name}`;
      return { type, status: 'False', reason: 'NoResources', message };
    }
    const closed = spec.listeners.filter((one) =>
      workloads.some((workload) => !this.#serves(workload, derivedName(name, one.name))),
    );
    const served = workloads.map((one) => one.name).slice(0, NAMED_MAX);
    if (closed.length === 0)
      return { type, status: 'True', reason: type, message: `served by ${served.join(', ')}` };
    const names = closed.map((one) => one.name).join(', ');
    const message = `closed at one of its workloads, or at all: ${names}`;
    const status = closed.length < spec.listeners.length ? 'True' : 'False';
    return { type, status, reason: status === 'True' ? type : 'Invalid', message };
  }

  /** Whether a workload opens the port of a listener, with the Secrets that it needs. */
  #serves(workload: Workload, listener: string): boolean {
    const gateway = `${workload.namespace}/${listener}`;
    const found = this.#serversOf(workload).find((bound) => bound.gateway === gateway);
    if (!found || found.server.tls?.mode === 'AUTO_PASSTHROUGH') return false;
    return lackingSecrets(found.server, workload, this.#mesh) === undefined;
  }

  #serversOf(workload: Workload): readonly BoundServer[] {
    const servers =
      this.#servers.get(workload) ??
      gatewayPorts(workload, this.#mesh).flatMap((port) => port.servers);
    this.#servers.set(workload, servers);
    return servers;
  }

  #takes(
    gateway: KubernetesGateway,
    route: HttpRouteObject,
    asked: ParentReference,
  ): GatewayApiCondition {
    const type = 'Accepted';
    const no = (reason: string, message: string): GatewayApiCondition => {
      return { type, status: 'False', reason, message };
    };
    const { name, namespace = '' } = gateway.metadata;
    const own = route.metadata.namespace ?? '';
    const only = { ...route, spec: { ...route.spec, parentRefs: [asked] } };
    const named = gateway.spec.listeners.filter(({ name: listener, port }) => {
      const parent = { gateway: name, namespace, listener, port };
      return parentsOf(only, [parent]).length > 0;
    });
    if (named.length === 0) return no('NoMatchingParent', 'the Gateway has no such listener');
    const offered = named.flatMap((listener) => {
      const derived = derivedGateway(gateway, listener, this.#mesh.namespaces);
      const servers = derived?.spec?.servers ?? [];
      return servers.flatMap(({ hosts }) => hostsForNamespace(hosts, own, namespace));
    });
    if (offered.length === 0) {
      const message = `no listener takes HTTPRoutes of namespace ${own}`;
      return no('NotAllowedByListeners', message);
    }
    const { hostnames = [] } = route.spec ?? {};
    if (commonHosts(offered, hostnames.length > 0 ? hostnames : ['*']).length === 0)
      return no('NoMatchingListenerHostname', 'no listener has one of the hostnames');
    return { type, status: 'True', reason: type, message: 'a listener takes the route' };
  }

  #resolved({ spec, metadata }: HttpRouteObject): GatewayApiCondition {
    const type = 'ResolvedRefs';
    const own = metadata.namespace ?? '';
    const services = new Set(this.#mesh.services.in(own).map(({ name }) => name));
    for (const [index, { backendRefs = [] }] of (spec?.rules ?? []).entries()) {
      for (const { kind = 'Service', group = '', namespace = own, name } of backendRefs) {
        const where = `spec.rules[${index}] leads to ${kind} ${namespace}/${name}`;
        const no = (reason: string, why: string): GatewayApiCondition => {
          return { type, status: 'False', reason, message: `${where}: ${why}` };
        };
        if (kind !== 'Service' || group !== '')
          return no('InvalidKind', 'only Services are called');
        if (namespace !== own) return no('RefNotPermitted', 'it is in another namespace');
        if (!services.has(name)) return no('BackendNotFound', 'there is no such Service');
      }
    }
    return { type, status: 'True', reason: type, message: 'every Service is there' };
  }
}

/** Workloads that a message names. */
const NAMED_MAX = 5;

/** HTTP, or HTTPS with a certificate that its workloads may be given. */
function isServable(listener: KubernetesListener, object: KubernetesGateway): boolean {
  const { protocol } = listener;
  if (protocol !== 'HTTPS') return protocol === 'HTTP';
  return isServedOverTls(listener, object);
}
