import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SettingName } from '#base/settings-table.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';

/**
 * Where a server on this machine can be reached and verified, from the data folder that its
 * kubeconfig lies in. Nothing when the kubeconfig was copied away from there, or is of another
 * server.
 */
export async function serverBeside(
  kubeconfig: string | undefined,
): Promise<Partial<Record<SettingName, string>>> {
  if (kubeconfig === undefined) return {};
  const folder = dirname(kubeconfig);
  try {
    const text = await readFile(join(folder, 'addresses.json'), 'utf8');
    const { api, discovery } = JSON.parse(text) as { api?: unknown; discovery?: unknown };
    const { server } = await readKubeconfig(kubeconfig);
    if (typeof api !== 'string' || typeof discovery !== 'string') return {};
    if (new URL(api).origin !== new URL(server).origin) return {};
    const caRoot = join(folder, 'root-cert.pem');
    await access(caRoot);
    return { discoveryAddress: discovery, caRoot };
  } catch {
    return {}; // no data folder of a server: the user has to say both
  }
}
