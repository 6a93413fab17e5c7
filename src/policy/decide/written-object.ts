import type { ApiObject } from '#api/object.ts';
import type { PolicyObject } from '#policy/decide/layer.ts';
import { isDerived, writtenName } from '#policy/gateway/derived-gateways.ts';

/** An object of routes by what its users wrote: HTTPRoutes are VirtualServices here. */
export function writtenObject({ kind, metadata }: ApiObject): PolicyObject {
  const { name, namespace = '' } = metadata;
  if (!isDerived(name)) return { kind, namespace, name };
  return { kind: 'HTTPRoute', namespace, name: writtenName(name) };
}
