import { once } from 'node:events';
import type { DemoWorld } from './world.ts';

/** Leaves the world running until the user ends it, and says what to try meanwhile. */
export async function keepRunning(
  world: DemoWorld,
  out: NodeJS.WritableStream,
  ending: AbortSignal,
): Promise<void> {
  const { kubeconfig } = world.server;
  const frontendProxy = `http://127.0.0.1:${world.httpProxyPortOf('photo-frontend')}`;
  const backendProxy = `http://127.0.0.1:${world.httpProxyPortOf('photo-backend')}`;
  out.write(`
It keeps running; Ctrl-C ends it and removes everything. To try meanwhile:

  open the page               http://127.0.0.1:${world.appPortOf('photo-frontend')}/
  the backend may             curl -x ${backendProxy} http://datastore.datastore-ns/photos
  the frontend may not        curl -x ${frontendProxy} http://datastore.datastore-ns/photos
  the objects                 export KUBECONFIG=${kubeconfig}
                              kubectl get authorizationpolicies,workloadentries -A
  change a policy             kubectl edit authorizationpolicy datastore-callers -n datastore-ns
  who took it                 npm run -s bulwark -- proxy-status --kubeconfig ${kubeconfig}

Processes:
${world.processes.map(({ name, pid }) => `  ${String(pid).padStart(7)}  ${name}`).join('\n')}
`);
  if (!ending.aborted) await once(ending, 'abort');
}
