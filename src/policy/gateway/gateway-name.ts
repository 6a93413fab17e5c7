import { MESH } from '#policy/routing/source-match.ts';

/**
 * `namespace/name` of the gateway that a VirtualService in `namespace` names: `front`, `ns/front`,
 * `./front`, or as it once was, `front.ns.svc.cluster.local` (Istio, "VirtualService"). `mesh`
 * stays as it is.
 */
export function resolveGateway(written: string, namespace: string): string {
  if (written === MESH) return MESH;
  const [first = '', second] = written.split('/');
  if (second !== undefined) return first === '.' ? `${namespace}/${second}` : written;
  const [name = '', where] = first.split('.');
  return `${where ?? namespace}/${name}`;
}
