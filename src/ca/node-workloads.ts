import type { Pod } from '#api/kinds/pod.ts';
import { pod } from '#api/kinds/pod.ts';
import { type WorkloadEntry, workloadEntry } from '#api/kinds/workload-entry.ts';
import type { Store } from '#store/store.ts';

/** The label by which a WorkloadEntry says on which machine it is (Kubernetes' own for that). */
const NODE_LABEL = 'kubernetes.io/hostname';

/** A pod in one of these runs no more. */
const OVER = ['Succeeded', 'Failed'];

/**
 * Whether the API server knows something that runs as a service account on a node: a pod, or a
 * WorkloadEntry with the node's name in the label `kubernetes.io/hostname`.
 */
export async function runsOnNode(
  store: Pick<Store, 'list'>,
  account: { readonly namespace: string; readonly serviceAccount: string },
  node: string,
): Promise<boolean> {
  const { namespace, serviceAccount } = account;
  const pods = await store.list(pod.id, { namespace });
  const isPodOfIt = ({ spec = {}, status = {}, metadata }: Pod): boolean =>
    metadata.deletionTimestamp === undefined &&
    spec.nodeName === node &&
    (spec.serviceAccountName ?? 'default') === serviceAccount &&
    !OVER.includes(status.phase ?? '');
  if (pods.items.some((one) => isPodOfIt(one as Pod))) return true;
  const entries = await store.list(workloadEntry.id, { namespace });
  return entries.items.some((one) => {
    const { metadata, spec } = one as WorkloadEntry;
    const isThere = metadata.labels?.[NODE_LABEL] === node;
    return isThere && (spec.serviceAccount || 'default') === serviceAccount;
  });
}
