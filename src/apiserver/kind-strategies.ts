import type { KindDefinition } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { type ClusterIps, holderOf } from '#apiserver/cluster-ips.ts';
import { NAME_LABEL, newNamespace } from '#apiserver/namespace-life.ts';
import { internalError, invalid } from '#apiserver/status.ts';

/** What the server fills in, beyond defaults. */
export interface Prepared {
  readonly object: ApiObject;
  /** Gives back what was taken for the object, when it is not stored. */
  readonly undo: () => void;
}

const nothingToUndo = (): void => {};

/**
 * The object as it is to be created: what belongs to the server is set, what clients may not set is
 * dropped.
 * @throws ApiError 422 when the service asks for an address that it cannot have
 */
export function prepareCreate(
  kind: KindDefinition,
  object: ApiObject,
  clusterIps: ClusterIps,
): Prepared {
  if (kind.id === 'namespaces') return { object: newNamespace(object), undo: nothingToUndo };
  if (kind.id === 'services')
    return withAddress(object as Service, clusterIps, { loadBalancer: {} });
  const { status: _, ...rest } = object as ApiObject & { readonly status?: unknown };
  return { object: kind.statusSubresource ? rest : object, undo: nothingToUndo };
}

/** The object as it is to replace `current`. @throws ApiError as `prepareCreate` */
export function prepareUpdate(
  kind: KindDefinition,
  object: ApiObject,
  current: ApiObject,
  clusterIps: ClusterIps,
): Prepared {
  if (kind.id === 'namespaces') {
    const labels = { ...object.metadata.labels, [NAME_LABEL]: object.metadata.name };
    const { spec } = current as ApiObject & { readonly spec?: unknown };
    const next = { ...object, metadata: { ...object.metadata, labels }, spec };
    return { object: next, undo: nothingToUndo };
  }
  if (kind.id !== 'services') return { object, undo: nothingToUndo };
  return withAddress(withPresentAddress(object as Service, current as Service), clusterIps);
}

interface ServiceSpec {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ipFamilies?: readonly string[];
  readonly ipFamilyPolicy?: string;
}

interface Service extends ApiObject {
  readonly spec?: ServiceSpec;
}

const NO_ADDRESS = 'None';

/** An update that does not name the address means the present one. */
function withPresentAddress(service: Service, current: Service): Service {
  const { type = 'ClusterIP', clusterIP = '' } = service.spec ?? {};
  if (clusterIP !== '' || type === 'ExternalName') return service;
  const { clusterIP: present, clusterIPs, ipFamilies, ipFamilyPolicy } = current.spec ?? {};
  if (present === undefined) return service;
  const kept = { clusterIP: present, clusterIPs, ipFamilies, ipFamilyPolicy };
  const defined = Object.entries(kept).filter(([, value]) => value !== undefined);
  return { ...service, spec: { ...service.spec, ...Object.fromEntries(defined) } };
}

function withAddress(service: Service, clusterIps: ClusterIps, status?: object): Prepared {
  const { type = 'ClusterIP', clusterIP = '' } = service.spec ?? {};
  const { status: _, ...rest } = service as Service & { readonly status?: unknown };
  const asStored = (spec: ServiceSpec): ApiObject =>
    ({ ...rest, spec, ...(status ? { status } : {}) }) as ApiObject;
  if (type === 'ExternalName') {
    const { clusterIP: _ip, clusterIPs: _ips, ...spec } = service.spec ?? {};
    return { object: asStored(spec), undo: nothingToUndo };
  }
  if (clusterIP === NO_ADDRESS) {
    return { object: asStored(addressed(service.spec, NO_ADDRESS)), undo: nothingToUndo };
  }
  const { address, undo } = takeAddress(service, clusterIP, clusterIps);
  return { object: asStored(addressed(service.spec, address)), undo };
}

function takeAddress(
  service: Service,
  asked: string,
  clusterIps: ClusterIps,
): { readonly address: string; readonly undo: () => void } {
  const holder = holderOf(service);
  if (asked === '') {
    const address = clusterIps.allocate(holder);
    if (address === undefined) throw internalError('no service address is free');
    return { address, undo: () => clusterIps.release(address, holder) };
  }
  const { taken, problem } = clusterIps.claim(asked, holder);
  if (problem) throw invalid({ group: '', name: 'Service' }, service.metadata.name, [problem]);
  return { address: asked, undo: taken ? () => clusterIps.release(asked, holder) : nothingToUndo };
}

function addressed(spec: ServiceSpec | undefined, address: string): ServiceSpec {
  const { ipFamilies = ['IPv4'], ipFamilyPolicy = 'SingleStack' } = spec ?? {};
  return { ...spec, clusterIP: address, clusterIPs: [address], ipFamilies, ipFamilyPolicy };
}
