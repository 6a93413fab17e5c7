import type { Settings } from '#base/settings-table.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { defaultKubeconfigPath, readKubeconfig } from '#kubeclient/kubeconfig.ts';

/**
 * A client for the API server that the settings name.
 * @throws BulwarkError FILES_UNREADABLE, SETTINGS_INVALID
 */
export async function connect({ kubeconfig }: Settings): Promise<KubeClient> {
  return new KubeClient(await readKubeconfig(kubeconfig ?? defaultKubeconfigPath()));
}
