import type { TestContext } from 'node:test';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { type TestMesh, testMesh } from './mesh.ts';
import { objectsOf } from './objects.ts';
import { type Pod, PodNetwork } from './pod-network.ts';
import { openRedirectedProxy, type PodAnswer, type RedirectedProxy } from './redirected-proxy.ts';
import { testAuthority } from './test-authority.ts';

/** The service `backend.shop` at `10.99.0.1`, its workload at `10.88.0.2`, a caller at `.1`. */
export const BACKEND = `
apiVersion: v1
kind: Service
metadata: { name: backend, namespace: shop }
spec:
  clusterIP: 10.99.0.1
  selector: { app: backend }
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: tcp, port: 90, targetPort: 9000 }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: backend-1, namespace: shop }
spec: { address: 10.88.0.2, labels: { app: backend }, serviceAccount: backend }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: caller-1, namespace: web }
spec: { address: 10.88.0.1, labels: { app: caller }, serviceAccount: caller }
`;

/** A pod and the proxy that its traffic goes through. */
export type MeshPod = RedirectedProxy & { readonly pod: Pod };

/** A mesh of redirected pods, `10.88.0.1` first, with real Envoys; ends with the test. */
export class RedirectedMesh {
  readonly mesh: TestMesh;
  readonly #test: TestContext;
  readonly #network: PodNetwork;
  readonly #authority = testAuthority();
  readonly #proxies: RedirectedProxy[] = [];

  constructor(test: TestContext, yaml: string, settings: Partial<MeshSettings> = {}) {
    this.#test = test;
    this.#network = new PodNetwork(test);
    this.mesh = testMesh(objectsOf(yaml), settings);
  }

  /**
   * Adds the pod of workload `NAME-1` of the account NAMESPACE/NAME.
   * @param holdSocket ProxyNode.holdSocket; with it nothing ends only because it drains
   */
  async add(namespace: string, name: string, holdSocket?: string): Promise<MeshPod> {
    const pod = this.#network.add(true);
    const opened = await openRedirectedProxy(
      this.#test,
      { mesh: this.mesh, authority: this.#authority, pod },
      { namespace, serviceAccount: name, workloadName: `${name}-1`, holdSocket },
      holdSocket === undefined ? 1 : 600,
    );
    this.#proxies.push(opened);
    return { ...opened, pod };
  }

  /** Adds a pod without proxy. */
  addOutside(): Pod {
    return this.#network.add(false);
  }

  /** Applies objects and brings every proxy to them. */
  put(yaml: string): void {
    this.mesh.put(...objectsOf(yaml));
    for (const { publish } of this.#proxies) publish();
  }
}

/** Asks from a pod; as `host` when that is given. */
export function askFrom(pod: Pod, url: string, host?: string): PodAnswer {
  return pod.call('get', url, JSON.stringify(host === undefined ? {} : { host }));
}

/** What comes back over TCP for `hello`; '' when nothing does. */
export function sendFrom(pod: Pod, host: string, port: string): string {
  return pod.call<{ answer: string }>('send', host, port, 'hello').answer;
}
