import type { IncomingHttpHeaders } from 'node:http';
import type { KindDefinition } from '#api/kind.ts';
import type { ApiObject, ObjectKey } from '#api/object.ts';
import { type ObjectFormat, objectFormat } from '#apiserver/accept.ts';
import type { ObjectCheck } from '#apiserver/admit.ts';
import type { Caller } from '#apiserver/authorize.ts';
import type { ClusterIps } from '#apiserver/cluster-ips.ts';
import type { NamespaceLife } from '#apiserver/namespace-life.ts';
import { Presenter } from '#apiserver/present.ts';
import type { EscalationGuard } from '#apiserver/rbac/escalation.ts';
import type { RequestInfo, ResourceRequest } from '#apiserver/request-info.ts';
import { ApiError, badRequest } from '#apiserver/status.ts';
import type { IncludeObject } from '#apiserver/table.ts';
import type { Turns } from '#apiserver/turns.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { Store } from '#store/store.ts';

/** A request that may be made: who asks, and for what. */
export interface Admission {
  readonly caller: Caller;
  readonly info: RequestInfo;
}

/** A request as the handlers see it: admitted, its body read but not decoded. */
export interface ApiRequest extends Admission {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A change that a client made. */
export interface ClientChange {
  readonly caller: Caller;
  readonly verb: 'create' | 'update' | 'delete';
  /** Absent for an object that is new. */
  readonly before?: ApiObject;
  /** Absent for an object that is gone, or will be. */
  readonly after?: ApiObject;
}

/** What the handlers of resources work with. */
export interface ResourceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly clusterIps: ClusterIps;
  readonly namespaces: NamespaceLife;
  /** What is minded of objects beyond the rules of their kinds. */
  readonly check?: ObjectCheck | undefined;
  /** Refuses writes by which somebody would give away rights that he does not have. */
  readonly guard: EscalationGuard;
  /** Of clients that change the same object. */
  readonly turns: Turns;
  /** Told of each change of more than the status, once it is made. */
  readonly onChange?: ((change: ClientChange) => void) | undefined;
}

/** One request for objects of a kind. */
export interface ResourceContext {
  readonly request: ApiRequest;
  readonly info: ResourceRequest;
  readonly kind: KindDefinition;
  readonly deps: ResourceDeps;
}

const INCLUDES = ['None', 'Metadata', 'Object'] as const;

/** The object that the path names. */
export function keyOf({ info, kind }: ResourceContext): ObjectKey {
  return { kind: kind.id, namespace: kind.namespaced ? info.namespace : '', name: info.name };
}

/**
 * Writes answers in the form that the client accepts.
 * @param options.list whether the answer is a list
 * @throws ApiError 400 or 406
 */
export function presenterFor(
  { request, info, kind, deps }: ResourceContext,
  options: { readonly list: boolean } = { list: false },
): Presenter {
  const format = objectFormat(request.headers.accept);
  checkForm(format, kind, options.list);
  const include = request.query.get('includeObject') || 'Metadata';
  const known: IncludeObject | undefined = INCLUDES.find((word) => word === include);
  if (!known) throw badRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`);
  const { version } = info;
  return new Presenter({ kind, version, format, include: known, now: () => deps.clock.now() });
}

function checkForm({ as }: ObjectFormat, kind: KindDefinition, list: boolean): void {
  const [wanted, found] = list
    ? ['PartialObjectMetadata', `a list (${goType(kind, kind.listKind)})`]
    : ['PartialObjectMetadataList', `not a list (${goType(kind, kind.kind)})`];
  if (as === wanted) {
    const message = `you requested ${wanted}, but the requested object is ${found}`;
    throw new ApiError(406, 'NotAcceptable', message);
  }
}

/** The type by which Kubernetes knows it, which its messages name. */
function goType({ group, custom }: KindDefinition, name: string): string {
  if (custom) return `*unstructured.Unstructured${name.endsWith('List') ? 'List' : ''}`;
  const [room = ''] = group.split('.');
  return `*${room || 'core'}.${name}`;
}
