import type { MeshSnapshot } from '#model/snapshot.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { XdsSnapshot } from '#xds/resource.ts';

/**
 * Makes the configuration of proxies. `snapshotFor` is a pure function of its arguments: same input, same bytes. It
 * remembers what it built, by identity of the parts of the mesh, so that proxies share resources and the work of a
 * change follows the change.
 */
export interface ConfigGenerator {
  /**
   * Everything that `proxy` gets, as one consistent set: every name that a resource refers to is in it.
   * @throws BulwarkError XDS_RESOURCE_INVALID when it is not; the proxy then keeps what it has.
   */
  snapshotFor(proxy: ProxyNode, mesh: MeshSnapshot): XdsSnapshot;
}
