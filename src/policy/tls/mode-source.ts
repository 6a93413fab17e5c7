import type { ApiObject } from '#api/object.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { hasMode, selectsWorkloads } from '#policy/authn/peer-authentication.ts';
import { PolicyFinder } from '#policy/authn/workload-policies.ts';

/**
 * The object that decides which connections a port of a workload takes; undefined = nobody says
 * anything, so it is PERMISSIVE. The order is that of `PeerAuthenticator`.
 */
export function modeSource(
  workload: Workload,
  workloadPort: number,
  mesh: MeshSnapshot,
): ApiObject | undefined {
  const { rootNamespace, clusterDomain } = mesh.settings;
  const { namespace } = workload;
  const general = (place: string) =>
    mesh.peerAuthentications.in(place).find((policy) => !selectsWorkloads(policy));
  const own =
    namespace === rootNamespace
      ? undefined
      : mesh.peerAuthentications
          .in(namespace)
          .filter(selectsWorkloads)
          .find(({ spec }) => labelsMatch(spec?.selector?.matchLabels ?? {}, workload.labels));
  const ofPort = own?.spec?.portLevelMtls?.[`${workloadPort}`]?.mode;
  if (ofPort !== undefined && ofPort !== 'UNSET') return own;
  const written = [own, general(namespace), general(rootNamespace)].find(
    (policy) => policy && hasMode(policy),
  );
  if (written) return written;
  const { common, ports } = new PolicyFinder(clusterDomain).policiesOf(workload, mesh);
  return ports.get(workloadPort) ?? common;
}
