import type { TestContext } from 'node:test';
import type { HardeningProfile, MeshSettings } from '#model/mesh-settings.ts';
import { type SeenRequest, startEchoApp } from './echo-app.ts';
import { ExplicitMesh, type ExplicitWorkload } from './explicit-workload.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import { type TestMesh, testMesh } from './mesh.ts';
import { objectsOf, serviceObjects } from './objects.ts';
import { testAuthority } from './test-authority.ts';

/** What a caller of the application got, and what the application saw of it. */
export interface GuardedAnswer {
  readonly status: number;
  readonly body: string;
  /** Undefined when the request did not reach the application. */
  readonly seen: SeenRequest | undefined;
}

/** One application behind the real Envoy, in namespace `shop` with label `app: backend`. */
export interface GuardedApp {
  readonly mesh: TestMesh;
  readonly workload: ExplicitWorkload;
  /**
   * Asks in plaintext, on one connection that stays open. All that was applied before is in force.
   */
  ask(target: string, headers?: Readonly<Record<string, string>>): Promise<GuardedAnswer>;
  /** Puts objects in place, and tells Envoy. */
  apply(yaml: string): void;
  remove(yaml: string): void;
  readonly port: number;
}

/** Starts it; ends with the test. */
export async function startGuardedApp(
  test: Pick<TestContext, 'after'>,
  hardening: HardeningProfile = 'strict',
  changes: Partial<MeshSettings> = {},
): Promise<GuardedApp> {
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const mesh = new ExplicitMesh(testMesh(objects, { hardening, ...changes }), testAuthority());
  const http = await startEchoApp(test, 'backend');
  const workload = await mesh.start(test, {
    namespace: 'shop',
    name: 'backend',
    ports: { http },
  });
  const port = workload.listenPort('http');
  const client = new KeepAliveClient({ port });
  test.after(() => client.close());
  return {
    mesh: mesh.mesh,
    workload,
    port,
    async ask(target, headers = {}) {
      await mesh.settled();
      const { status, body } = await client.ask({ target, headers });
      const seen = body.startsWith('{') ? (JSON.parse(body) as SeenRequest) : undefined;
      return { status, body, seen };
    },
    apply(yaml) {
      mesh.mesh.put(...objectsOf(yaml));
      mesh.publish();
    },
    remove(yaml) {
      mesh.mesh.remove(...objectsOf(yaml));
      mesh.publish();
    },
  };
}
