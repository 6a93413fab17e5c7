import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accountsYaml } from './mesh-objects.ts';
import type { RealMesh } from './real-mesh.ts';

/**
 * Starts a server below another one, which has to name `istio-system/edge` among those who may have
 * an authority. Gives the arguments, for a start that follows.
 */
export async function startBelow(below: RealMesh, above: RealMesh): Promise<readonly string[]> {
  await above.apply(accountsYaml('istio-system', 'edge'));
  const root = join(below.directory, 'above.pem');
  const token = join(below.directory, 'token');
  writeFileSync(root, readFileSync(join(above.data, 'root-cert.pem')));
  writeFileSync(token, await above.requestToken('istio-system', 'edge'), { mode: 0o600 });
  const upstream = ['--upstream-ca', above.addresses.discovery, '--upstream-ca-root', root];
  const args = [...upstream, '--upstream-token-file', token];
  await below.startServer(...args);
  return args;
}
