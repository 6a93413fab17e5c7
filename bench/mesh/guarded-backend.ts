import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { startEchoApp } from '../../test/kit/echo-app.ts';
import { ExplicitMesh } from '../../test/kit/explicit-workload.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { serviceObjects } from '../../test/kit/objects.ts';
import { openPeer } from '../../test/kit/peer-call.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { cpuTimeOf } from '../cpu-time.ts';

/** `backend` of namespace `shop` behind a real Envoy. */
export async function startGuardedBackend(after: Pick<TestContext, 'after'>) {
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const http = await startEchoApp(after, 'backend');
  const backend = await mesh.start(after, { namespace: 'shop', name: 'backend', ports: { http } });
  return {
    /** Opens a connection of an account of namespace `web`, which stays. */
    open(account: string): Socket {
      const identity = `spiffe://cluster.local/ns/web/sa/${account}`;
      const certificate = mesh.authority.issue({ uris: [identity] });
      const socket = openPeer({ port: backend.listenPort('http'), certificate, data: '' });
      after.after(() => socket.destroy());
      return socket;
    },
    put(...added: readonly ApiObject[]): void {
      mesh.mesh.put(...added);
      mesh.publish();
    },
    remove(...gone: readonly ApiObject[]): void {
      mesh.mesh.remove(...gone);
      mesh.publish();
    },
    cpuUs: (): number => cpuTimeOf(backend.envoy.process.pid),
  };
}
